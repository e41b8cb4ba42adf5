package cluster

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// peers are the other nodes, as far as this node knows them.
type peers struct {
	mu sync.Mutex
	by map[string]*peer
}

// peer is another node.
type peer struct {
	url string

	mu      sync.Mutex
	id      string    // the ID of its start, which requests to it must name; "": unknown
	down    time.Time // when it last failed; zero: it works
	gone    bool      // it failed because it does not run
	pinging bool
	used    time.Time
}

const (
	mostPeers = 512
	downFor   = 2 * time.Second // how long a node that failed is not tried
	pingLimit = 500 * time.Millisecond
	dialLimit = 500 * time.Millisecond
	// The longest header that is read from a node: longer than any Base accepts, because otherwise an origin could break the
	// connection between nodes.
	mostHeader = 16 << 20
)

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialLimit, KeepAlive: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    2 * dialLimit,
		MaxResponseHeaderBytes: mostHeader,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         64 << 10,
	}
}

func (ps *peers) get(url string) *peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p, now := ps.by[url], time.Now()
	if p == nil {
		if ps.by == nil {
			ps.by = map[string]*peer{}
		}
		if len(ps.by) >= mostPeers {
			for u, old := range ps.by {
				if now.Sub(old.used) > time.Minute {
					delete(ps.by, u)
				}
			}
		}
		p = &peer{url: url}
		ps.by[url] = p
	}
	p.used = now
	return p
}

// failed records that a node failed. gone: because it does not run.
func (p *peer) failed(gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.gone = time.Now(), gone
}

// works records that the node has just proved to work.
func (p *peer) works() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.gone = time.Time{}, false
}

func (p *peer) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

func (p *peer) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.down.IsZero()
}

func (p *peer) start() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// learn records the ID in an answer, and reports whether it differs from the one that was used.
func (p *peer) learn(id, used string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = id
	return id != used
}
