package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
	"github.com/hlsproxy/hlsproxy/rangeserve"
)

var modified = time.Unix(1_700_000_000, 0)

// serve runs this program as one of the servers. It prints its address and serves until it is killed.
func serve(role, dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	switch role {
	case "floor":
		floor(mux, dir)
	case "rangeserve":
		both(mux, role, &rangeserve.Files{Root: root})
	default:
		both(mux, role, http.FileServerFS(root.FS()))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, mux))
}

func both(mux *http.ServeMux, role string, files http.Handler) {
	mux.Handle("/files/", http.StripPrefix("/files/", files))
	for _, l := range memory {
		mux.Handle(l.Path, inMemory(role, body(l)))
	}
}

func inMemory(role string, body []byte) http.HandlerFunc {
	if role == "rangeserve" {
		c := rangeserve.Content{
			ReaderAt: bytes.NewReader(body), Size: int64(len(body)), Type: "video/mp2t", ETag: `"v1"`, ModTime: modified,
		}
		return func(w http.ResponseWriter, r *http.Request) { rangeserve.Serve(w, r, c) }
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "", modified, bytes.NewReader(body))
	}
}

func body(l hammer.Load) []byte { return bytes.Repeat([]byte{0x47}, int(l.Bytes)) }
