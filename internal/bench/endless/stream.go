package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	rate    = 4_000_000 / 8          // bytes a second
	beat    = 40 * time.Millisecond  // between two pieces of the stream
	piece   = rate * 40 / 1000 / 188 // packets in a piece
	segment = 2 * rate               // bytes, of two seconds
)

// packet is an MPEG-TS packet (ISO/IEC 13818-1). Its adaptation field says whether a decoder can begin here.
func packet(pid int, starts, random bool, payload ...byte) []byte {
	p := bytes.Repeat([]byte{0xff}, 188)
	p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), 0x30
	if starts {
		p[1] |= 0x40
	}
	p[4], p[5] = 7, 0
	if random {
		p[5] = 0x40
	}
	copy(p[12:], payload)
	return p
}

// table is a packet with a section of programme information. Nobody here checks its checksum.
func table(pid int, id byte, body ...byte) []byte {
	payload := append([]byte{0, id, 0xb0, byte(5 + len(body) + 4), 0, 1, 0xc1, 0, 0}, body...)
	return packet(pid, true, false, append(payload, 1, 2, 3, 4)...)
}

// opening and between are 40 ms of a picture each. A group begins with opening only.
var opening, between = func() (opening, between []byte) {
	const video = 0x101
	opening = append(table(0, 0, 0, 1, 0xe1, 0x00), table(0x100, 2, 0xe1, 0x01, 0xf0, 0, 0x1b, 0xe1, 0x01, 0xf0, 0)...)
	opening = append(opening, packet(video, true, true)...)
	between = packet(video, true, false)
	for len(opening) < piece*188 {
		opening = append(opening, packet(video, false, false)...)
	}
	for len(between) < piece*188 {
		between = append(between, packet(video, false, false)...)
	}
	return opening, between
}()

// origin serves the stream, and segments of the same rate.
type origin struct {
	began  time.Time
	opened atomic.Int64 // answers without an end so far
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "video/mp2t")
	if strings.HasPrefix(r.URL.Path, "/segment-") {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", fmt.Sprint(segment))
		w.Write(make([]byte, segment))
		return
	}
	o.opened.Add(1)
	flush := http.NewResponseController(w)
	for i, next := 0, time.Now(); ; i, next = i+1, next.Add(beat) {
		p := between
		if i%50 == 0 {
			p = opening
		}
		if _, err := w.Write(p); err != nil || flush.Flush() != nil {
			return
		}
		time.Sleep(time.Until(next.Add(beat)))
	}
}

const bareRole = "BENCH_ENDLESS_BARE"

// serveBare is for the beginning of main. If this program was started as the server that has nothing but a broadcast, serveBare
// runs that server and does not return.
func serveBare() {
	upstream := os.Getenv(bareRole)
	if upstream == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, &broadcast{upstream: upstream}))
}

// broadcast passes on what comes on one endless connection to all viewers. It has no ring and no limits, and does not look for
// a point to begin at. No server can do less.
type broadcast struct {
	upstream string
	once     sync.Once
	mu       sync.Mutex
	moved    chan struct{} // closed when there is a new piece
	newest   []byte
}

func (b *broadcast) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.once.Do(func() {
		b.moved = make(chan struct{})
		go b.listen()
	})
	w.Header().Set("Content-Type", "video/mp2t")
	flush := http.NewResponseController(w)
	for {
		b.mu.Lock()
		moved := b.moved
		b.mu.Unlock()
		select {
		case <-moved:
		case <-r.Context().Done():
			return
		}
		b.mu.Lock()
		p := b.newest
		b.mu.Unlock()
		if _, err := w.Write(p); err != nil || flush.Flush() != nil {
			return
		}
	}
}

func (b *broadcast) listen() {
	resp, err := http.Get(b.upstream + "endless.ts")
	if err != nil {
		log.Fatal(err)
	}
	for {
		p := make([]byte, len(between))
		if _, err := io.ReadFull(resp.Body, p); err != nil {
			log.Fatal(err)
		}
		b.mu.Lock()
		b.newest = p
		close(b.moved)
		b.moved = make(chan struct{})
		b.mu.Unlock()
	}
}
