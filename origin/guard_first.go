package origin

import (
	"context"
	"net/url"
	"sync"
	"time"
)

// firstTurn is how long requests to an unknown server wait for the first connection to it.
const firstTurn = 3 * time.Second

// firsts are the https servers that have been asked. Over HTTP/2, one connection is enough for many requests, but only its
// handshake tells whether the server supports HTTP/2. Until then net/http would make a connection for each request.
type firsts struct {
	mu      sync.Mutex
	of, old map[string]*first // by host and port, in two generations, so that servers in use stay
}

type first struct {
	settled chan struct{} // closed when the protocol is known, when the connection fails, or when it takes too long
	since   time.Time
	known   bool
}

// wait lets one request go first. It returns an error only when ctx ends: its cause.
func (f *firsts) wait(ctx context.Context, u *url.URL) error {
	if u.Host == "" {
		return nil // net/http refuses such a URL
	}
	for i := range len(u.Host) {
		if u.Host[i] >= 0x80 {
			return nil // net/http uses another name to dial it
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err // it would go first without dialling
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

// get returns the state of a server, and keeps it from being forgotten. The caller holds mu.
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

// settle lets all requests go on. If the protocol is still unknown, the next request goes first again.
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
