package chaintest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
	"github.com/stretchr/testify/require"
)

// One URI with odd bytes, or with another service's token, costs no playlist.
func TestNoPlaylistFailsForOneURI(t *testing.T) {
	signers := map[string]rewrite.Signer{
		"exact":      must(sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: make([]byte, 32)}}})),
		"directory":  must(sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: make([]byte, 32)}}, Scope: sign.Directory})),
		"cloudfront": must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2", Key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))})),
		"akamai":     must(cdn.Akamai(cdn.AkamaiConfig{Key: "00112233445566778899aabbccddeeff"})),
		"media cdn":  must(cdn.MediaCDN(cdn.MediaCDNConfig{KeyName: "k", Key: ed25519.NewKeyFromSeed(make([]byte, 32))})),
		"bunny":      must(cdn.Bunny(cdn.BunnyConfig{SecurityKey: "k"})),
		"fastly":     must(cdn.Fastly(cdn.FastlyConfig{Key: "iqFPeN2u+Z0Lm5IrsKaOFKRqEU5Gw8ePtaEkHZWuD24="})),
		"nginx":      must(cdn.Nginx(cdn.NginxConfig{Expression: "$secure_link_expires$uri secret"})),
		"s3":         must(cdn.S3(cdn.S3Config{AccessKeyID: "a", SecretAccessKey: "s", Region: "r"})),
	}
	texts := map[string][]byte{"odd names": []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nMy Show0.ts\n#EXTINF:4,\n\xfc|\"<>.ts?x='a b'\n#EXTINF:4,\n" +
		"100%.ts\n#EXTINF:4,\na.ts?hpt=1&token=2&Policy=3&md5=4&X-Amz-Signature=5\n#EXTINF:4,\n&'*!~[].ts\n#EXTINF:4,\n,;+=@:.ts?\n")}
	for _, shape := range playlists.All() {
		texts[shape.Name] = shape.Text
	}
	golden := must(filepath.Glob("../../rewrite/testdata/golden/*.m3u8"))
	require.NotEmpty(t, golden)
	for _, name := range golden {
		texts[filepath.Base(name)] = must(os.ReadFile(name))
	}
	var out []byte
	for name, text := range texts {
		text = beginning(text)
		for signer, s := range signers {
			var err error
			out, err = (&rewrite.Rewriter{Sign: s}).Append(t.Context(), out[:0], text, playlists.Base)
			require.NoError(t, err, "%s: %s", signer, name)
			require.False(t, bytes.Equal(text, out), "%s: %s", signer, name)
		}
	}
}

// beginning is the first lines of a playlist. If there are more, they are similar.
func beginning(text []byte) []byte {
	const most = 32 << 10
	if len(text) <= most {
		return text
	}
	return text[:bytes.LastIndexByte(text[:most], '\n')+1]
}
