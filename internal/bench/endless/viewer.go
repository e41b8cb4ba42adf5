package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// figure is the result of one round of one server.
type figure struct {
	cores  float64
	memory int64   // for each viewer, in bytes, beyond what the first one needs
	rate   float64 // Mbit/s of each viewer, with the framing of chunks
	opened int64   // connections of the origin
}

// comeIn is how long it takes until all viewers have come.
const comeIn = 4 * time.Second

// way is how a viewer watches until a given time. It counts the bytes that arrive.
type way func(c *hammer.Conn, until time.Time, taken *atomic.Int64) error

func listening(c *hammer.Conn, until time.Time, taken *atomic.Int64) error {
	return c.Listen("/endless.ts", until, taken)
}

// polling asks for a cached segment every two seconds.
func polling(c *hammer.Conn, until time.Time, taken *atomic.Int64) error {
	var buf [4 << 10]byte
	for next := time.Now(); next.Before(until); next = next.Add(2 * time.Second) {
		time.Sleep(time.Until(next))
		_, n, err := c.Get(fmt.Sprintf("/segment-%d.ts", next.Unix()/10), buf[:])
		if err != nil {
			return err
		}
		taken.Add(n)
	}
	return nil
}

// watch lets one viewer come, and the others ten seconds later. It measures when all are there.
func watch(s hammer.Server, viewers int, span time.Duration, one way) (f figure, err error) {
	const alone = 10 * time.Second // a stream is broadcast from its fifth second on, and then the ring is full
	began := time.Now()
	from := began.Add(alone + comeIn + time.Second)
	until := from.Add(span)
	conns, errs := make([]*hammer.Conn, viewers), make([]error, viewers)
	for i := range conns {
		if conns[i], err = hammer.Dial(s.Addr); err != nil {
			return f, err
		}
		defer conns[i].Close()
	}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			if i > 0 {
				time.Sleep(time.Until(began.Add(alone + comeIn*time.Duration(i)/time.Duration(viewers))))
			}
			errs[i] = one(c, until, &taken)
		})
	}
	time.Sleep(time.Until(began.Add(alone)))
	empty, err := s.PSS()
	if err != nil {
		return f, err
	}
	time.Sleep(time.Until(from))
	before, err := s.CPU()
	if err != nil {
		return f, err
	}
	already := taken.Load()
	time.Sleep(time.Until(until))
	after, err := s.CPU()
	if err != nil {
		return f, err
	}
	bytes := taken.Load() - already
	full, err := s.PSS()
	if err != nil {
		return f, err
	}
	wg.Wait()
	f = figure{
		cores: (after - before).Seconds() / span.Seconds(), memory: (full - empty) / int64(viewers),
		rate: float64(bytes) * 8 / 1e6 / span.Seconds() / float64(viewers),
	}
	return f, errors.Join(errs...)
}
