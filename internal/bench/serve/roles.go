package main

import (
	"bytes"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
)

// runRole is this program as one of the servers: it prints its address and serves until it is killed.
func runRole(role string) {
	var h http.Handler
	switch role {
	case "origin", "ServeContent":
		h = serveContent()
	case "bare":
		h = bare()
	case "hlsproxy":
		h = must(chain.New("http://" + os.Getenv("BENCH_SERVE_ORIGIN") + "/"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, h))
}

func serveContent() http.Handler {
	bodies := map[string][]byte{}
	for _, l := range loads {
		if l.Header == "" {
			bodies[l.Path] = bytes.Repeat([]byte{0x47}, int(l.Bytes))
		}
	}
	modified := time.Unix(1_700_000_000, 0)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeContent(w, r, "", modified, bytes.NewReader(body))
	})
}

// bare is the least that an answer can cost under net/http: the header that the chain gives, ready made, and one Write. It
// knows no ranges.
func bare() http.Handler {
	bodies, header := map[string][]byte{}, map[string]http.Header{}
	for _, l := range loads {
		if l.Header == "" {
			bodies[l.Path] = bytes.Repeat([]byte{0x47}, int(l.Bytes))
			header[l.Path] = http.Header{
				"Content-Type": {"video/mp2t"}, "Content-Length": {strconv.FormatInt(l.Bytes, 10)}, "Accept-Ranges": {"bytes"},
				"Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Date": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Age": {"1"},
				"Cache-Status": {"hlsproxy; hit"}, "X-Content-Type-Options": {"nosniff"}, "Access-Control-Allow-Origin": {"*"},
				"Access-Control-Expose-Headers": {"Content-Length, Content-Range, Accept-Ranges, Date, Age, Etag"},
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), header[r.URL.Path])
		w.Write(bodies[r.URL.Path])
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
