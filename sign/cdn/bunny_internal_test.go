package cdn

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// These are the vectors that Bunny publishes with its samples (e2e/vectors.json of BunnyCDN.TokenAuthentication). They have one
// parameter each, and Sign always sends two. So the test calls the function that makes the token.
func TestBunnyVectors(t *testing.T) {
	for _, c := range []struct{ path, params, want string }{
		{"/300kb.jpg", "", "HS256-o10JRWlsAItyAsdKS6jJKjabHN4FrFsplDHPV1idcX4"},
		{"/300kb.jpg", "token_countries=CA,US", "HS256-i5s3Uv7mnrFfN5nznwU2BxhILpnipYeE18TapV0WNFM"},
		{"/abc", "token_path=/abc", "HS256-uVZvT3SbEoVKYJyDJgbcsDmSFf73cv-uNUVaJiKWpbQ"},
		{"/300kb.jpg", "token_ignore_params=true", "HS256-1lwWBD_c1IAGSj1UKPoxreu8ePDQ-Z9FoWLcRn_RRH0"},
		{"/300kb.jpg", "limit=1000", "HS256-DAVapqNNED3Z7JkjRTYX0UOIHNtbHEuuhRNEc4A7mMQ"},
	} {
		require.Equal(t, c.want, bunnyToken("SecurityKey", c.path, 1598024587, c.params))
	}
}
