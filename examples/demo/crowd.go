package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// crowd is a number of simulated viewers. Each plays a picture and a sound rendition in real time over HTTP and discards the
// bytes. They differ in their User-Agent, by which package audience tells them apart.
type crowd struct {
	ramp time.Duration // the time over which new viewers arrive
	want chan int

	mu      sync.Mutex
	present int
}

func newCrowd(ramp time.Duration) *crowd { return &crowd{ramp: ramp, want: make(chan int)} }

// resize makes the crowd n viewers large. It needs run.
func (c *crowd) resize(ctx context.Context, n int) error {
	select {
	case c.want <- n:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// size is the intended number of viewers.
func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.present
}

// run plays a multivariant playlist, with n viewers at first, until ctx ends and every viewer has left. It calls failed for
// each failed request; the viewer then starts over, as players do.
func (c *crowd) run(ctx context.Context, master string, n int, failed func(error)) {
	transport := &http.Transport{MaxIdleConnsPerHost: mostViewers, IdleConnTimeout: 30 * time.Second}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var all sync.WaitGroup
	defer all.Wait()
	var leave []context.CancelFunc // one for each present viewer
	for {
		for ; len(leave) > n; leave = leave[:len(leave)-1] {
			leave[len(leave)-1]()
		}
		newcomers := n - len(leave)
		for i := range newcomers {
			v := &viewer{client: client, name: fmt.Sprintf("demo-viewer/%d", len(leave)+1), quality: len(leave)}
			theirs, cancel := context.WithCancel(ctx)
			defer cancel()
			leave = append(leave, cancel)
			all.Go(func() { v.stay(theirs, time.Duration(i)*c.ramp/time.Duration(newcomers), master, failed) })
		}
		c.mu.Lock()
		c.present = n
		c.mu.Unlock()
		select {
		case n = <-c.want:
		case <-ctx.Done():
			return
		}
	}
}
