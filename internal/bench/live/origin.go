package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	duration = 2 * time.Second
	size     = 200 << 10
)

// origin is a live stream that began at some time.
type origin struct{ began time.Time }

func (o origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".ts") {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(make([]byte, size))
		return
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Cache-Control", "max-age=1")
	edge := int(time.Since(o.began)/duration) + 6
	fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n", edge-6)
	for i := edge - 6; i < edge; i++ {
		fmt.Fprintf(w, "#EXTINF:2,\nsegment-%08d.ts\n", i)
	}
}
