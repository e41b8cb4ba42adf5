package chaintest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// A handler around the chain may overwrite any header value and append to it. Only its own viewer's answer changes, even if all
// viewers get the same stored answer.
func TestAChangedHeaderChangesNoOtherAnswer(t *testing.T) {
	ch := newChain(t, chainConfig{})
	ch.origin.Handle("/seg1.ts", faultorigin.Script{
		Header: http.Header{
			"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}, "Vary": {"Accept-Encoding"},
			"Content-Language": {"de", "en"}, "Cmsd-Static": {"ot=v"},
		},
		Body: make([]byte, 1<<10),
	})
	ask := func(field, value string) http.Header {
		r := httptest.NewRequest(http.MethodGet, "/live/seg1.ts", nil)
		r.Header.Set("Origin", "https://page.example")
		r.Header.Set(field, value)
		w := httptest.NewRecorder()
		ch.Config.Handler.ServeHTTP(w, r)
		h := w.Header()
		h.Del("Age")
		return h
	}
	ask("Accept", "*/*")
	for field, value := range map[string]string{"Accept": "*/*", "Range": "bytes=0-1", "If-None-Match": `"1"`} {
		t.Run(field, func(t *testing.T) {
			want := ask(field, value).Clone()
			var viewers sync.WaitGroup
			for viewer := range 8 {
				viewers.Go(func() {
					mine := strconv.Itoa(viewer)
					for range 50 {
						h := ask(field, value)
						if !equal(want, h) {
							t.Errorf("%v", h)
							return
						}
						for name, values := range h {
							for i := range values {
								values[i] = mine
							}
							h[name] = append(values, mine)
						}
						h["X-Viewer"] = []string{mine}
					}
				})
			}
			viewers.Wait()
			require.NotEmpty(t, want["Access-Control-Allow-Origin"])
		})
	}
}

func equal(a, b http.Header) bool {
	for name, values := range a {
		if !slices.Equal(values, b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}
