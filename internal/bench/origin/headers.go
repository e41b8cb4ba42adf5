package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
)

const (
	question = "GET /live/1080p/seg-000123.ts HTTP/1.1\r\nHost: cdn.example\r\nUser-Agent: player\r\nAccept: */*\r\nAccept-Encoding: identity\r\nVia: 1.1 hlsproxy-abcdefgh\r\n\r\n"
	answer   = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 29 Nov 2026 21:00:00 GMT\r\nContent-Type: video/mp2t\r\nContent-Length: 0\r\n" +
		"Last-Modified: Sun, 29 Nov 2026 20:00:00 GMT\r\nETag: \"65674d80-16e360\"\r\nCache-Control: max-age=60\r\nAccept-Ranges: bytes\r\nConnection: keep-alive\r\n\r\n"
)

// headers compares an exchange on a connection of the guard, which checks the header of each answer, with one on a plain
// connection. It prints the difference as a share of a miss. A second plain connection shows how far apart two of a kind are.
func headers() {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, len(question))
				for {
					if _, err := io.ReadFull(c, buf); err != nil {
						return
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	exchange := func(name string, bare bool) ratio.Contender {
		c := must(must(chain.Transport()).DialContext(context.Background(), "tcp", ln.Addr().String()))
		if bare {
			c = c.(interface{ NetConn() net.Conn }).NetConn()
		}
		from, buf := bufio.NewReader(c), make([]byte, len(answer))
		return ratio.Contender{Name: name, Run: func() {
			must(io.WriteString(c, question))
			must(io.ReadFull(from, buf))
		}}
	}
	origin := httptest.NewServer(media(1 << 10))
	defer origin.Close()
	front := httptest.NewServer(must(chain.New(origin.URL + "/")))
	defer front.Close()
	n := 0
	miss := ratio.Contender{Name: "a miss of 1 KiB", Run: func() { n++; get(front.URL + "/" + strconv.Itoa(n) + ".ts") }}
	fmt.Println("one question and its header")
	results := ratio.Compare(300, 10*time.Millisecond, exchange("bare", true), exchange("looked at", false), exchange("bare again", true), miss)
	ratio.Print(os.Stdout, results, "bare")
	part := func(of func(ratio.Result) time.Duration) float64 {
		bare := (of(results[0]) + of(results[2])) / 2
		return 100 * float64(of(results[1])-bare) / float64(of(results[3]))
	}
	fmt.Printf("  looking at it is %.2f %% of a miss (least %.2f %%)\n",
		part(func(r ratio.Result) time.Duration { return r.Median }), part(func(r ratio.Result) time.Duration { return r.Min }))
}
