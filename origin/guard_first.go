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
	mu      sync.Mutex
	of, old map[string]*first // by host and port, in two generations, so that those in use stay
}

type first struct {
	settled chan struct{} // closed when the protocol is known, when there is no connection, or when it took too long
	since   time.Time
	known   bool
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
	if err := context.Cause(ctx); err != nil {
		return err // it would go first, and dial nothing
	}
	authority := hostOf(u)
	f.mu.Lock()
	it := f.get(authority)
	if it == nil {
		f.put(authority, &first{settled: make(chan struct{}), since: time.Now()})
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

// get finds what is known of a server, and keeps it in mind. Under mu.
func (f *firsts) get(authority string) *first {
	it := f.of[authority]
	if it == nil {
		if it = f.old[authority]; it != nil {
			delete(f.old, authority)
			f.put(authority, it)
		}
	}
	return it
}

func (f *firsts) put(authority string, it *first) {
	if f.of == nil || len(f.of) >= maxPeers {
		f.of, f.old = map[string]*first{}, f.of
	}
	f.of[authority] = it
}

// settle lets all go on. If nothing is known after all, the next one goes first again.
func (f *firsts) settle(authority string, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it := f.get(authority); it != nil {
		it.settle()
		if it.known = it.known || known; !it.known {
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
