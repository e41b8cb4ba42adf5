package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// runRole runs this program as one of the servers. It prints its address and serves until it is killed.
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
	server := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	over := hammer.Over(os.Getenv("BENCH_SERVE_OVER"))
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(over == hammer.HTTP2)
	if over != hammer.TLS && over != hammer.HTTP2 {
		log.Fatal(server.Serve(l))
	}
	certificate, _, err := hammer.Certificate()
	if err != nil {
		log.Fatal(err)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	log.Fatal(server.ServeTLS(l, "", ""))
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

// bare is the cost of an answer under net/http by itself: a ready-made header like that of the chain, and one Write.
func bare() http.Handler {
	type answer struct {
		status int
		header http.Header
		body   []byte
	}
	whole := bytes.Repeat([]byte{0x47}, 8<<20)
	answers := map[string]answer{} // by path and Range
	for _, l := range loads {
		h := http.Header{
			"Content-Type": {"video/mp2t"}, "Content-Length": {strconv.FormatInt(l.Bytes, 10)}, "Accept-Ranges": {"bytes"},
			"Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Date": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Age": {"1"},
			"Cache-Status": {"hlsproxy; hit"}, "X-Content-Type-Options": {"nosniff"}, "Access-Control-Allow-Origin": {"*"},
			"Access-Control-Expose-Headers": {"Content-Length, Content-Range, Accept-Ranges, Date, Age, Etag"},
		}
		status := http.StatusOK
		if l.Header != "" {
			status = http.StatusPartialContent
			h["Content-Range"] = []string{"bytes 1000000-1065535/2097152"}
		}
		answers[l.Path+ranges(l)] = answer{status, h, whole[:l.Bytes]}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answers[r.URL.Path+r.Header.Get("Range")]
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		w.Write(a.body)
	})
}

// ranges is the Range of a load, if it has one.
func ranges(l hammer.Load) string {
	return strings.TrimSuffix(strings.TrimPrefix(l.Header, "Range: "), "\r\n")
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
