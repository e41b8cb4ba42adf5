package audience_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/hlsproxy/hlsproxy/audience"
)

func Example() {
	streams := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	})
	watch := &audience.Audience{
		Limit: func(address string) int { return 1 },
	}
	h := watch.Handler(streams)
	for _, player := range []string{"one", "another", "one"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/live/news/index.m3u8", nil)
		r.Header.Set("User-Agent", player)
		h.ServeHTTP(w, r)
		fmt.Println(player, w.Code)
	}
	for _, s := range watch.Snapshot().Streams {
		fmt.Println(s.Name, s.Viewers)
	}
	// Output:
	// one 200
	// another 429
	// one 200
	// /live/news/ 1
}
