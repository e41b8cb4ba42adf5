//go:build !race

package hlsproxy_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// nowhere is a client that takes everything at once.
type nowhere struct {
	header http.Header
	status int
	bytes  int
}

func (w *nowhere) Header() http.Header              { return w.header }
func (w *nowhere) WriteHeader(status int)           { w.status = status }
func (w *nowhere) Write(p []byte) (int, error)      { w.bytes += len(p); return len(p), nil }
func (w *nowhere) FlushError() error                { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

// What a whole chain makes for an answer from the cache is the garbage of each segment of each viewer.
func TestAHitThroughTheChainAllocatesLittle(t *testing.T) {
	ch := newChain(t, chainConfig{})
	ch.origin.Handle("/seg1.ts", faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}}, Body: make([]byte, 200<<10),
	})
	for name, row := range map[string]struct {
		field         string
		status, bytes int
		most          float64
	}{
		"whole": {"", 200, 200 << 10, 15},
		"range": {"bytes=1000-65999", 206, 65000, 20},
	} {
		r := httptest.NewRequest(http.MethodGet, "/live/seg1.ts", nil)
		if row.field != "" {
			r.Header.Set("Range", row.field)
		}
		w := nowhere{header: http.Header{}}
		ask := func() {
			clear(w.header)
			w.bytes = 0
			ch.Config.Handler.ServeHTTP(&w, r)
		}
		ask()
		require.Equal(t, row.status, w.status, name)
		require.Equal(t, row.bytes, w.bytes, name)
		require.LessOrEqual(t, testing.AllocsPerRun(100, ask), row.most, name)
	}
}
