package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	duration = 2 * time.Second
	size     = 200 << 10
)

var segment = make([]byte, size)

const bareRole = "BENCH_LIVE_BARE"

// serveBare is for the beginning of main. If this program was started as the server that has nothing but the origin's handler,
// serveBare runs that server and does not return.
func serveBare() {
	if os.Getenv(bareRole) == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, origin{time.Now()}))
}

// origin is a live stream. Its segments go by the time since it began.
type origin struct{ began time.Time }

func (o origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".ts") {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(segment)
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
