// Package ahead knows the order of what playlists name, and has fetched what viewers are about to ask for: the pieces that
// follow those they asked for. It chooses pieces; its Cache says which requests these are, and sends them.
//
// Its cache tells a Guide that a viewer asks (Asked), that an answer was stored (Stored), and that a playlist came (Listed). A
// piece follows only a piece of the same playlist, and is on the scheme, host and port of its playlist. It is tried at most
// once a minute. After a failure its playlist rests for 10 s. What is fetched at a time, and what is known of playlists, is
// bounded, whatever playlists and viewers say.
package ahead

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/internal/cmcd"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Cache sends the requests of a Guide. No lock is held when it is called.
type Cache interface {
	// Limits are how many pieces are fetched behind the one that is watched, and how many answers the cache fetches at a time.
	Limits() (pieces, fills int)
	// Key is the key of a viewer's request for u, which the answer to r or its viewer names.
	Key(r *http.Request, u *url.URL) (string, error)
	// Detach returns r as it can be sent after its viewer has left.
	Detach(r *http.Request) *http.Request
	// Fetch fetches a piece, with the header of r. It sets headed once the origin has begun to answer. fetched: this has
	// brought the piece into the cache. ok is false if the piece cannot be fetched.
	Fetch(r *http.Request, p Piece, headed *atomic.Bool) (fetched, ok bool)
}

// Piece is a segment or a part that is to be fetched, or the initialization section that it needs.
type Piece struct {
	Base         *url.URL // of its playlist
	Host         string   // scheme, host and port of its playlist
	Ref          string   // relative to Base
	Key          uint64   // the hash of its key
	From, Length int64    // Length 0: the whole

	p *piece
}

// Guide leads fetches. The zero value works. Its methods may be called concurrently.
type Guide struct {
	Fetched atomic.Uint64 // pieces fetched before a viewer asked for them
	Used    atomic.Uint64 // those of them that a viewer has asked for since

	mu sync.Mutex // guards what is in outlines, too
	outlines
	hosts   map[string]int // by scheme and host: how many are being fetched now
	running int
}

const (
	// A share of all fills is fetched ahead at a time, and less than that from one host.
	aheadShare     = 4
	aheadHostShare = 16

	tryAgainAfter = time.Minute            // how long until a piece is tried once more
	pausedFor     = 10 * time.Second       // how long a playlist rests after one of its pieces could not be fetched
	headAwaited   = 500 * time.Millisecond // how long the next piece waits for the header of this one
	leastWatched  = 10 * time.Second       // a playlist counts as watched for three target durations after a request
	mostWatched   = time.Minute            // for one of its pieces, but within these bounds
)

// Asked takes in a request of a viewer. If the answer is there, Asked fetches what follows it. If not, Stored does that later.
func (g *Guide) Asked(c Cache, r *http.Request, key string, there bool) {
	now := time.Now()
	names := [2]uint64{1: evict.Hash(key)}
	if field, ok := httprange.Asked(r); ok {
		if s, ok := httprange.ParseOne(field); ok && s.First >= 0 {
			names[0] = nameOf(key, s.First, 1)
		}
	}
	var jump []uint64
	if object, part := cmcd.Next(r); object != "" || part != "" {
		if g.known(names) {
			jump = jumps(c, r, object, part)
		}
	}
	g.mu.Lock()
	p := g.first(names[:])
	if p == nil {
		g.mu.Unlock()
		return
	}
	if p.asked = now; p.here && !p.used {
		p.used = true
		g.Used.Add(1)
	}
	p.of.reach(p, now)
	p.jump = g.first(jump)
	var todo []Piece
	if there || p.here {
		todo = g.following(c, p, now)
	}
	g.mu.Unlock()
	g.start(c, r, todo)
}

// Stored takes in an answer that was stored, and fetches what follows it. If the answer itself was fetched ahead, early is when
// its request was sent. Stored then fetches what follows only if a viewer has asked for the answer since.
func (g *Guide) Stored(c Cache, r *http.Request, key string, early time.Time) {
	var todo []Piece
	g.mu.Lock()
	if p := g.find(evict.Hash(key)); p != nil && !p.asked.Before(early) {
		todo = g.following(c, p, time.Now())
	}
	g.mu.Unlock()
	g.start(c, r, todo)
}

// Listed takes in a new version of a playlist, which answered r. list is its key without delivery directives; partial: it
// leaves out older pieces, as a delta update does. If viewers watch it, what is new behind the piece they have reached is
// fetched.
func (g *Guide) Listed(c Cache, r *http.Request, list string, p *listing.Playlist, info hls.Info, partial bool) {
	l := outlineOf(p, list, info, func(u *url.URL) (string, error) { return c.Key(r, u) })
	if l == nil {
		return
	}
	now := time.Now()
	var todo []Piece
	g.mu.Lock()
	g.outlined(l, partial)
	if l.front != nil && now.Sub(l.asked) < min(max(3*info.Target, leastWatched), mostWatched) {
		todo = g.following(c, l.front, now)
	}
	g.mu.Unlock()
	g.start(c, r, todo)
}

func (g *Guide) known(names [2]uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first(names[:]) != nil
}

// jumps are the names that a player says it will ask for next, if it says so.
func jumps(c Cache, r *http.Request, object, part string) (names []uint64) {
	from := int64(-1)
	if s, ok := httprange.ParseOne("bytes=" + part); ok && part != "" {
		from = s.First
	}
	u, err := r.URL.Parse(object)
	if err != nil {
		return nil
	}
	plain := *u
	plain.RawQuery = "" // it may hold a token of the public URL
	for _, u := range [...]*url.URL{u, &plain} {
		u.Fragment = ""
		key, err := c.Key(r, u)
		if err != nil {
			return nil
		}
		if from >= 0 {
			names = append(names, nameOf(key, from, 1))
		}
		names = append(names, evict.Hash(key))
	}
	return names
}

// reach notes how far viewers have come.
func (l *outline) reach(p *piece, now time.Time) {
	if p.kind == hls.OfSection {
		return
	}
	if l.front == nil || p.at >= l.front.at || now.Sub(l.asked) > leastWatched {
		l.front, l.asked = p, now
	}
}

// following lists the pieces that follow p and are to be fetched, with what they need. The caller holds mu.
func (g *Guide) following(c Cache, p *piece, now time.Time) (todo []Piece) {
	add := func(p *piece) {
		if p.gap || p.kind == hls.OfHint || now.Sub(p.tried) < tryAgainAfter {
			return
		}
		p.tried, p.here, p.used = now, false, false
		todo = append(todo, Piece{p.of.base, p.of.host, p.ref, p.key, p.from, p.length, p})
	}
	n, _ := c.Limits()
	next, section := p.next, p.section
	if p.jump != nil && p.jump != p && p.jump.kind != hls.OfSection && p.jump.of.host == p.of.host {
		next = p.jump
	}
	p.jump = nil
	if p.kind == hls.OfSection || now.Sub(p.of.paused) < pausedFor {
		return nil
	}
	for ; next != nil && n > 0; next, n = next.next, n-1 {
		if next.section != nil && next.section != section {
			section = next.section
			add(section)
		}
		add(next)
	}
	return todo
}

// start has pieces fetched with the header of r, a viewer's request.
func (g *Guide) start(c Cache, r *http.Request, todo []Piece) {
	if len(todo) > 0 {
		go g.walk(c, c.Detach(r), todo)
	}
}

// walk fetches pieces one after the other. It does not wait long for an origin that is slow to begin an answer.
func (g *Guide) walk(c Cache, r *http.Request, todo []Piece) {
	host := todo[0].Host
	_, fills := c.Limits()
	for i, e := range todo {
		if !g.enter(host, fills) {
			g.retract(todo[i:])
			return
		}
		done := make(chan struct{})
		var headed atomic.Bool
		go func() {
			defer close(done)
			defer g.exit(host)
			fetched, ok := c.Fetch(r, e, &headed)
			g.note(e.p, fetched, ok)
		}()
		late := time.NewTimer(headAwaited)
		select {
		case <-done:
		case <-late.C:
			if headed.Load() {
				<-done
			}
		}
		late.Stop()
		if g.isPaused(e.p) {
			g.retract(todo[i+1:])
			return
		}
	}
}

// enter takes one of the places for fetches ahead.
func (g *Guide) enter(host string, most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running >= max(most/aheadShare, 1) || g.hosts[host] >= max(most/aheadHostShare, 1) {
		return false
	}
	if g.hosts == nil {
		g.hosts = map[string]int{}
	}
	g.running++
	g.hosts[host]++
	return true
}

func (g *Guide) exit(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.hosts[host]--; g.hosts[host] == 0 {
		delete(g.hosts, host)
	}
}

// retract marks pieces as not tried.
func (g *Guide) retract(todo []Piece) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range todo {
		e.p.tried = time.Time{}
	}
}

// note takes in how the fetch of a piece has ended.
func (g *Guide) note(p *piece, fetched, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !ok {
		p.of.paused = time.Now()
	}
	if !fetched {
		return
	}
	g.Fetched.Add(1)
	if p.here = true; !p.asked.Before(p.tried) && !p.used {
		p.used = true
		g.Used.Add(1)
	}
}

func (g *Guide) isPaused(p *piece) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Since(p.of.paused) < pausedFor
}
