package origin

import (
	"context"
	"net/url"
	"sync"
	"time"
)

// firstTurn is how long requests to a server of which nothing is known wait for the first connection to it.
const firstTurn = 3 * time.Second

// firsts are the servers that have been asked by https. Over HTTP/2 one connection is enough for many requests, but only its
// handshake tells whether the server speaks it: until then net/http would make a connection for each.
type firsts struct {
	mu sync.Mutex
	of map[string]*first // by host and port
}

type first struct {
	settled chan struct{} // closed when the protocol is known, when there is no connection, or when it took too long
	since   time.Time
}

// wait lets one request go first. It fails with the cause of ctx alone.
func (f *firsts) wait(ctx context.Context, u *url.URL) error {
	if u.Host == "" {
		return nil // net/http refuses it
	}
	for i := range len(u.Host) {
		if u.Host[i] >= 0x80 {
			return nil // net/http dials it by another name
		}
	}
	authority := hostOf(u)
	f.mu.Lock()
	it := f.of[authority]
	if it == nil {
		f.begin(authority)
		f.mu.Unlock()
		return nil
	}
	f.mu.Unlock()
	select {
	case <-it.settled:
		return nil
	default:
	}
	late := time.NewTimer(time.Until(it.since.Add(firstTurn)))
	defer late.Stop()
	select {
	case <-it.settled:
	case <-late.C:
		f.settle(authority, true)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// begin notes that the first connection to a server is being made. Under mu.
func (f *firsts) begin(authority string) {
	if f.of == nil || len(f.of) >= maxPeers {
		for _, it := range f.of {
			it.settle()
		}
		f.of = map[string]*first{}
	}
	f.of[authority] = &first{settled: make(chan struct{}), since: time.Now()}
}

// settle lets all go on. If nothing is known after all, the next one goes first again.
func (f *firsts) settle(authority string, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it := f.of[authority]; it != nil {
		if it.settle(); !known {
			delete(f.of, authority)
		}
	}
}

func (f *first) settle() {
	select {
	case <-f.settled:
	default:
		close(f.settled)
	}
}
