package chaintest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// A cache above origin.Trim keeps clean bytes, in one piece or in slices, and cuts ranges out of them. So does a handler for
// ranges in front of the cache. If the origin's version changes in the middle, the two are never mixed.
func TestTrimBelowACache(t *testing.T) {
	for name, row := range map[string]struct {
		packets int
		fetches int64 // of one version, at most
	}{"one piece": {100, 1}, "slices": {5 << 20 / 188, 4}} {
		t.Run(name, func(t *testing.T) {
			clean := make([]byte, 0, row.packets*188)
			for i := range row.packets {
				packet := bytes.Repeat([]byte{byte(i)}, 188)
				copy(packet, []byte{0x47, 1, byte(i >> 8), 0x10})
				clean = append(clean, packet...)
			}
			var version, fetches atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fetches.Add(1)
				v := version.Load()
				w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, v))
				w.Header().Set("Cache-Control", "max-age=60")
				junk := "GIF89a\x01" + strings.Repeat("\x00", 50+int(v)) + "\x00;"
				http.ServeContent(w, r, "seg1.gif", time.Time{}, strings.NewReader(junk+string(clean)))
			}))
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			shared := &cache.Transport{Base: origin.Trim(base, nil), Store: cache.NewMemory(64 << 20), MaxBody: 1 << 20}
			front := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				out, _ := http.NewRequestWithContext(r.Context(), r.Method, server.URL+"/seg1.gif", nil)
				out.Header = r.Header.Clone()
				resp, err := shared.RoundTrip(out)
				if err != nil {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				defer resp.Body.Close()
				for name, values := range resp.Header {
					w.Header()[name] = values
				}
				w.WriteHeader(resp.StatusCode)
				io.Copy(w, resp.Body)
			}))
			ask := func(method, byteRange string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, "/seg1.gif", nil)
				if byteRange != "" {
					r.Header.Set("Range", byteRange)
				}
				w := httptest.NewRecorder()
				front.ServeHTTP(w, r)
				return w
			}
			for v := range int64(2) {
				version.Store(v)
				fetches.Store(0)
				for range 2 {
					w := ask(http.MethodGet, "")
					require.Equal(t, 200, w.Code)
					require.True(t, bytes.Equal(clean, w.Body.Bytes()))
					require.Equal(t, "video/mp2t", w.Header().Get("Content-Type"))
					w = ask(http.MethodGet, "bytes=10000-10999")
					require.Equal(t, 206, w.Code)
					require.True(t, bytes.Equal(clean[10000:11000], w.Body.Bytes()))
					require.Equal(t, fmt.Sprintf("bytes 10000-10999/%d", len(clean)), w.Header().Get("Content-Range"))
					w = ask(http.MethodGet, "bytes=-1")
					require.True(t, bytes.Equal(clean[len(clean)-1:], w.Body.Bytes()))
					require.Equal(t, fmt.Sprint(len(clean)), ask(http.MethodHead, "").Header().Get("Content-Length"))
				}
				require.LessOrEqual(t, fetches.Load(), row.fetches)
				_, err := shared.Purge(t.Context(), server.URL+"/seg1.gif")
				require.NoError(t, err)
			}
		})
	}
}
