package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/origin"
)

// dials compares a plain dial with one through the guard, and with the guard's decision alone.
func dials() {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	dial := func(name string, dial func(context.Context, string, string) (net.Conn, error)) ratio.Contender {
		return ratio.Contender{Name: name, Run: func() {
			conn := must(dial(context.Background(), "tcp", ln.Addr().String()))
			if below, ok := conn.(interface{ NetConn() net.Conn }); ok {
				conn = below.NetConn()
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // ports are few
			conn.Close()
		}}
	}
	public := must(url.Parse("https://cdn.example.com/live/seg1.ts"))
	fmt.Println("one dial")
	ratio.Print(os.Stdout, ratio.Compare(15, 40*time.Millisecond,
		dial("bare", new(net.Dialer).DialContext),
		dial("guarded", guard.Transport().DialContext),
		ratio.Contender{Name: "Control alone", Run: func() { allowed(new(origin.Guard).Control("tcp4", "8.8.8.8:443", nil)) }},
		ratio.Contender{Name: "Check alone", Run: func() { allowed(new(origin.Guard).Check(public)) }},
	), "bare")
}

func allowed(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
