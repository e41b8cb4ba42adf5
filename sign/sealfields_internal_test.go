package sign

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link that another release has made may hold fields that this one does not know. The origin must not be asked without them.
func TestALinkWithUnknownFieldsIsRefused(t *testing.T) {
	s, err := NewSealer(Config{Keys: []Key{{Secret: make([]byte, leastSecret)}}}, "/s/")
	require.NoError(t, err)
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	known := fields{header: []field{{"Referer", "x"}}}
	for header, want := range map[string]int{"": 204, known.encode(): 204, "Z": 403, "H\x01a": 403, known.encode() + "?": 403} {
		public, err := s.seal(nil, []byte("https://h/a.ts"), header, "")
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, string(public), nil))
		require.Equal(t, want, w.Code, "%q", header)
	}
}
