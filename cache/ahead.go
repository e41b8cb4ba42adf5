package cache

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/internal/cmcd"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// ahead fetches what viewers are about to ask for: the pieces that follow, in the playlist, those they asked for. It sends the
// requests that these viewers would send next, and no others.
type ahead struct {
	mu sync.Mutex
	outlines
	hosts   map[string]int // by scheme and host: how many are being fetched now
	running int
}

const (
	// A share of MaxFills is fetched ahead at a time, and less than that from one host.
	aheadShare     = 4
	aheadHostShare = 16

	tryAgainAfter = time.Minute            // how long until a piece is tried once more
	pausedFor     = 10 * time.Second       // how long a playlist rests after one of its pieces could not be fetched
	headAwaited   = 500 * time.Millisecond // how long the next piece waits for the header of this one
	leastWatched  = 10 * time.Second       // a playlist counts as watched for three target durations after a request
	mostWatched   = time.Minute            // for one of its pieces, but within these bounds
)

// errand is a piece to fetch, with what the playlist said of it.
type errand struct {
	p            *piece
	key          uint64
	base         *url.URL
	host, ref    string
	from, length int64
}

// lead sees each request. If the answer is there, lead fetches what follows it. If not, came does that later.
func (t *Transport) lead(r *http.Request, key string, there bool) {
	if r.Method == http.MethodHead || r.Header[tierField] != nil {
		return
	}
	a := &t.ahead
	now := time.Now()
	names := [2]uint64{1: evict.Hash(key)}
	if field, ok := httprange.Asked(r); ok {
		if s, ok := httprange.ParseOne(field); ok && s.First >= 0 {
			names[0] = nameOf(key, s.First, 1)
		}
	}
	var jump []uint64
	if object, part := cmcd.Next(r); object != "" || part != "" {
		if a.known(names) {
			jump = t.jumps(r, object, part)
		}
	}
	a.mu.Lock()
	p := a.first(names[:])
	if p == nil {
		a.mu.Unlock()
		return
	}
	if p.asked = now; p.here && !p.used {
		p.used = true
		t.count.prefetchedUsed.Add(1)
	}
	p.of.reach(p, now)
	p.jump = a.first(jump)
	var todo []errand
	if there || p.here {
		todo = a.following(p, t.Ahead, now)
	}
	a.mu.Unlock()
	t.start(r, todo)
}

// came sees each answer that was stored, and fetches what follows it. It does so for an answer that was fetched ahead only if a
// viewer has asked for that since.
func (t *Transport) came(o *flight) {
	if o.part != nil {
		return
	}
	t.mu.Lock()
	early := o.early
	t.mu.Unlock()
	a := &t.ahead
	var todo []errand
	a.mu.Lock()
	if p := a.find(evict.Hash(o.primary)); p != nil && (!early || !p.asked.Before(o.asked)) {
		todo = a.following(p, t.Ahead, time.Now())
	}
	a.mu.Unlock()
	t.start(o.req, todo)
}

// outline takes in a new version of a playlist. If viewers watch it, it fetches what is new behind the piece they have reached.
func (t *Transport) outline(o *flight, e *Entry, from playlist, list hls.Info) {
	l := t.outlineOf(o.req, from, list)
	if l == nil {
		return
	}
	l.list = evict.Hash(listOf(keyOf(o.primary, e)))
	a, now := &t.ahead, time.Now()
	var todo []errand
	a.mu.Lock()
	a.outlined(l, strings.Contains(e.URL, "_HLS_skip="))
	if l.front != nil && now.Sub(l.asked) < min(max(3*list.Target, leastWatched), mostWatched) {
		todo = a.following(l.front, t.Ahead, now)
	}
	a.mu.Unlock()
	t.start(o.req, todo)
}

func (a *ahead) known(names [2]uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first(names[:]) != nil
}

// jumps are the names that a player says it will ask for next, if it says so.
func (t *Transport) jumps(r *http.Request, object, part string) (names []uint64) {
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
		key, err := t.key(listed(r, u))
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

// following lists up to n pieces that follow p and are to be fetched, with what they need. The caller holds ahead.mu.
func (a *ahead) following(p *piece, n int, now time.Time) (todo []errand) {
	add := func(p *piece) {
		if p.gap || p.kind == hls.OfHint || now.Sub(p.tried) < tryAgainAfter {
			return
		}
		p.tried, p.here, p.used = now, false, false
		todo = append(todo, errand{p, p.key, p.of.base, p.of.host, p.ref, p.from, p.length})
	}
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

// start fetches pieces with the header fields of r, a viewer's request.
func (t *Transport) start(r *http.Request, todo []errand) {
	if len(todo) == 0 {
		return
	}
	q := r.WithContext(context.WithoutCancel(r.Context()))
	q.Method, q.Header = http.MethodGet, fillHeader(r)
	for _, name := range hls.CMCDHeaders {
		delete(q.Header, name) // it belongs to the other request
	}
	go t.walk(q, todo)
}

// walk fetches pieces one after the other. It does not wait long for an origin that is slow to begin an answer.
func (t *Transport) walk(r *http.Request, todo []errand) {
	host := todo[0].host
	for i, e := range todo {
		if !t.ahead.enter(host, t.maxFills()) {
			t.ahead.retract(todo[i:])
			return
		}
		done := make(chan struct{})
		var headed atomic.Bool
		go func() {
			defer close(done)
			defer t.ahead.exit(host)
			if !t.fetchAhead(r, e, &headed) {
				t.ahead.pause(e.p)
			}
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
		if t.ahead.isPaused(e.p) {
			t.ahead.retract(todo[i+1:])
			return
		}
	}
}

// enter takes one of the places for fetches ahead.
func (a *ahead) enter(host string, most int) bool {
	most = min(most, defaultMaxFills)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running >= max(most/aheadShare, 1) || a.hosts[host] >= max(most/aheadHostShare, 1) {
		return false
	}
	if a.hosts == nil {
		a.hosts = map[string]int{}
	}
	a.running++
	a.hosts[host]++
	return true
}

func (a *ahead) exit(host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	if a.hosts[host]--; a.hosts[host] == 0 {
		delete(a.hosts, host)
	}
}

// retract marks pieces as not tried.
func (a *ahead) retract(todo []errand) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range todo {
		e.p.tried = time.Time{}
	}
}

func (a *ahead) pause(p *piece) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.of.paused = time.Now()
}

func (a *ahead) isPaused(p *piece) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(p.of.paused) < pausedFor
}

// fetchAhead fetches one piece, with the header fields of r. It returns false if it could not fetch the piece. It leaves a
// piece to the viewers if somebody fetches it already, or if they would ask for it differently.
func (t *Transport) fetchAhead(r *http.Request, e errand, headed *atomic.Bool) bool {
	u, err := e.base.Parse(e.ref)
	if err != nil {
		return true
	}
	u.Fragment = ""
	if m := maker.FromContext(r.Context()); m != nil {
		u = m.Inherited(u)
	}
	if originOf(u) != e.host || e.length > t.maxBody() {
		return true
	}
	q := named(r, u, r.Header.Clone()).WithContext(r.Context())
	key, err := t.key(q)
	if err != nil || evict.Hash(key) != e.key || !shareable(q) {
		return true
	}
	have, asked := t.lookup(q, key), false
	if have.entry == nil || !have.entry.fresh() {
		if asked = !t.isUnshareable(have.key) && t.early(q, have, headed); !asked {
			return true
		}
		have = t.lookup(q, key)
	}
	if have.entry == nil || have.entry.Status != http.StatusOK || !have.entry.fresh() {
		return !asked
	}
	if have.entry.Sliced > 0 {
		if e.length == 0 {
			return true
		}
		had := false
		if asked, had = t.earlySlices(q, have, e, headed); !asked || !had {
			return had
		}
	}
	if asked {
		t.ahead.mu.Lock()
		t.count.prefetched.Add(1)
		if e.p.here = true; !e.p.asked.Before(e.p.tried) && !e.p.used {
			e.p.used = true
			t.count.prefetchedUsed.Add(1)
		}
		t.ahead.mu.Unlock()
	}
	return true
}

// earlySlices fetches the slices of a range. asked: there was something to fetch. had is false if one could not be fetched.
func (t *Transport) earlySlices(r *http.Request, whole lookupResult, e errand, headed *atomic.Bool) (asked, had bool) {
	end := min(e.from+e.length, whole.entry.Sliced)
	for off := e.from - e.from%sliceSize; off < end; off += sliceSize {
		part := &slice{head: whole.entry, off: off, end: min(off+sliceSize, whole.entry.Sliced)}
		part.to = part.end - off
		key := part.key(whole.key)
		if t.lookup(r, key).entry != nil {
			continue
		}
		if !t.early(r, lookupResult{primary: key, key: key, part: part}, headed) {
			return asked, true
		}
		if asked = true; t.lookup(r, key).entry == nil {
			return true, false
		}
	}
	return asked, true
}

// early asks the origin before a viewer does, and reads the answer to its end. It returns false if somebody asks already, or if
// there is no free place.
func (t *Transport) early(r *http.Request, have lookupResult, headed *atomic.Bool) bool {
	t.mu.Lock()
	if t.flights[have.key] != nil || t.fills[have.key] != nil || len(t.flights)+t.filling+t.beside >= t.maxFills() {
		t.mu.Unlock()
		return false
	}
	o := t.newFlight(r, have)
	o.early = true
	t.earlyFills++
	o.waiters++
	landed := t.group.DoChan(have.key, o.run)
	t.mu.Unlock()
	defer o.served()
	res := <-landed
	headed.Store(true)
	if out, _ := res.Val.(outcome); res.Err == nil && out.fill != nil {
		out.fill.toStore(r.Context())
		o.leaveToViewers()
	}
	return true
}

// leaveToViewers hands over a fill that goes on because it is too long to be kept: it now counts among those of the viewers.
func (o *flight) leaveToViewers() {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	if !o.fill.settled {
		o.early = false
		o.t.earlyFills--
	}
}
