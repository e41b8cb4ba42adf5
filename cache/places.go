package cache

import (
	"cmp"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"golang.org/x/sync/singleflight"
)

// places are the requests to the origin that run, and the MaxFills that they may take. An answer that a viewer waits for or
// reads keeps its place. An unwatched one holds its place only until a viewer needs it: viewers have left it, or it renews what
// was served stale. Fetches ahead are counted apart. The methods are for callers that hold mu, unless they say otherwise.
type places struct {
	purges atomic.Uint64 // so far; changed below mu

	mu       sync.Mutex
	group    singleflight.Group   // of flights, by key
	flights  map[string]*flight   // by key: requests that have no answer yet
	fills    map[string]*fill     // by key: running, and open to new viewers
	filling  int                  // running fills, also those closed to new viewers
	early    int                  // flights and fills that no viewer has begun
	beside   int                  // streams beside a broadcast, each for one viewer
	left     map[*flight]struct{} // flights and their fills that viewers have left; see isUnwatched
	renewing map[*flight]struct{} // those that nobody but the cache itself waits for, except early ones
}

// mostOrphans is how many requests to one host may go on while nobody waits for them.
const mostOrphans = 16

// mostLeft is how many answers may go on after their viewers have left. most is Transport.MaxFills; without one, it is a number
// of its own.
func mostLeft(most int) int { return max(min(most, defaultMaxFills)/4, 1) }

// running returns the fill or the flight that r may join. If answers vary, as a fill now knows, have becomes what there is for
// the variant: nothing.
func (p *places) running(r *http.Request, have *lookupResult) (*fill, *flight) {
	f := p.fills[have.key]
	if f != nil && have.key == have.primary && !rules.Selects(r.Header, f.entry.Vary) {
		have.key, have.entry = variant(have.primary, f.entry.Vary, r.Header), nil
		f = p.fills[have.key]
	}
	if f != nil && rules.Selects(r.Header, f.entry.Vary) && !f.stalls() {
		return f, nil
	}
	return nil, p.flights[have.key]
}

// isAsked reports whether a request for this key runs. It takes mu.
func (p *places) isAsked(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asks(key)
}

func (p *places) asks(key string) bool { return p.flights[key] != nil || p.fills[key] != nil }

// taken is how many of the places are taken for viewers.
func (p *places) taken() int { return len(p.flights) + p.filling + p.beside - p.early }

// isFree reports whether nobody asks for this key, and a request that no viewer waits for has one of so many places.
func (p *places) isFree(key string, early bool, most int) bool {
	taken := p.taken()
	if early {
		taken += p.early
	}
	return !p.asks(key) && taken < most
}

// hasRoom reports whether makeRoom can find a place.
func (p *places) hasRoom(most int) bool {
	return p.taken() < most || len(p.left) > 0 || len(p.renewing) > 0
}

// makeRoom finds one of so many places for a viewer. If there is no free one, it gives up what viewers have left, and renewals
// after that.
func (p *places) makeRoom(most int) bool {
	for p.taken() >= most {
		o := cmp.Or(leastNear(p.left), leastNear(p.renewing))
		if o == nil {
			return false
		}
		o.bar()
	}
	return true
}

// boundLeft gives up answers that viewers have left, if there are too many. most is Transport.MaxFills.
func (p *places) boundLeft(most int) {
	for most = mostLeft(most); len(p.left) > most; {
		leastNear(p.left).bar()
	}
}

// mostCompared is how many flights leastNear looks at: viewers wait meanwhile. There may be more renewals.
const mostCompared = defaultMaxFills/4 + 1

// leastNear is the flight that would end last at its rate so far. Flights without a rate would end last of all; of several, it
// is the newest.
func leastNear(set map[*flight]struct{}) (last *flight) {
	var lastEnd, lastAge time.Duration
	looked := 0
	for o := range set {
		end, age := toCome(o)
		if last == nil || end > lastEnd || end == lastEnd && age < lastAge {
			last, lastEnd, lastAge = o, end, age
		}
		if looked++; looked == mostCompared {
			break
		}
	}
	return last
}

// toCome is how long an answer will still take at its rate so far, and how long it has taken.
func toCome(o *flight) (end, age time.Duration) {
	if !o.asked.IsZero() {
		age = time.Since(o.asked)
	}
	if o.fill == nil {
		return noLimit, age
	}
	if o.fill.whole.Load() {
		return 0, age
	}
	size, length := o.fill.body.State().Size, o.fill.body.Length()
	if size == 0 || length < 0 {
		return noLimit, age
	}
	rest := float64(age) * float64(length-size) / float64(size)
	return time.Duration(min(rest, float64(noLimit))), age
}

// orphans is how many requests to a host go on while nobody waits for them.
func (p *places) orphans(host string) (n int) {
	for o := range p.left {
		if o.fill == nil && o.req.URL.Host == host {
			n++
		}
	}
	return n
}

// list lets viewers join a flight, and gives it a place.
func (p *places) list(o *flight) {
	if p.flights == nil {
		p.flights = map[string]*flight{}
	}
	p.flights[o.key] = o
	if o.early {
		p.early++
	}
}

// delist lets the next viewer ask anew.
func (p *places) delist(o *flight) {
	if p.flights[o.key] == o {
		delete(p.flights, o.key)
		if o.early {
			p.early--
		}
		p.group.Forget(o.key)
	}
}

// admit gives a place to a fill. Viewers may join it, unless its flight was barred. It displaces older fills.
func (p *places) admit(f *fill) {
	p.filling++
	if f.o.early {
		p.early++
	}
	if f.o.barred.Load() {
		return
	}
	if p.fills == nil {
		p.fills = map[string]*fill{}
	}
	for _, key := range f.keys() {
		if old := p.fills[key]; old != nil && old != f {
			old.o.bar()
		}
		p.fills[key] = f
	}
}

// unlist closes a fill to joiners.
func (p *places) unlist(f *fill) {
	for _, key := range f.keys() {
		if p.fills[key] == f {
			delete(p.fills, key)
		}
	}
}

// settle unlists a fill and frees its place, once.
func (p *places) settle(f *fill) {
	p.unlist(f)
	if !f.settled {
		f.settled = true
		p.filling--
		if f.o.early {
			p.early--
		}
	}
	p.recount(f.o)
}

// leaveToViewers counts a fill that no viewer has begun among those of the viewers.
func (p *places) leaveToViewers(f *fill) {
	if !f.settled {
		f.o.early = false
		p.early--
		p.recount(f.o)
	}
}

// recount is called after each change of what isUnwatched looks at.
func (p *places) recount(o *flight) {
	delete(p.left, o)
	delete(p.renewing, o)
	if !p.isUnwatched(o) {
		return
	}
	set := &p.left
	if o.own > 0 {
		set = &p.renewing
	}
	if *set == nil {
		*set = map[*flight]struct{}{}
	}
	(*set)[o] = struct{}{}
}

// isUnwatched reports whether a flight, or its fill, has one of the places, but no viewer.
func (p *places) isUnwatched(o *flight) bool {
	switch {
	case o.early:
		return false
	case o.fill != nil:
		return !o.fill.settled && o.fill.shares <= o.own
	}
	return p.flights[o.key] == o && o.waiters <= o.own
}

// bar bars the flights and the fills that match, by the keys under which viewers find them. It takes mu.
func (p *places) bar(match func(o *flight, key string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purges.Add(1)
	p.barThose(match)
}

// barThose is bar for callers that hold mu, and for what is no purge.
func (p *places) barThose(match func(o *flight, key string) bool) {
	for key, o := range p.flights {
		if match(o, key) {
			o.bar()
		}
	}
	for key, f := range p.fills {
		if match(f.o, key) {
			f.o.bar()
		}
	}
}
