package cache

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/join"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

const (
	airAfter    = 5 * time.Second
	againAfter  = 3 * airAfter // after a break: a file may pause once
	namedAfter  = time.Minute  // for what a playlist names: no segment takes so long
	defaultRing = 8 << 20
	ringTime    = 10 * time.Second

	// Viewers at the live edge are written to a few times a second, mostly in one piece: a piece takes up to three system
	// calls, and a thousand viewers with 25 pieces a second fill a core.
	gatherFor = 250 * time.Millisecond
	longChunk = 1 << 20
)

// broadcast is what a fill knows of a body that may have no end. A body goes on air if it has no length, goes on for airAfter,
// arrives as it is made, and is media but not a segment of a playlist. It is not kept. A viewer who comes later begins at the
// newest point where a decoder can begin. A viewer who is too slow loses what has left the ring.
//
// A nil broadcast is that of a body that has an end.
type broadcast struct {
	f      *fill
	ring   int64 // bytes
	linger time.Duration

	// Only the pump uses these.
	began  time.Time     // start of the current airAfter
	waited time.Duration // fill.waited at that time
	live   time.Duration // how long before that the body has come as it is made, without a break
	paused bool          // there was a break

	mu   sync.Mutex // below Transport.mu
	scan join.Scanner
	past []moment // of the last ringTime, the oldest first

	// Below Transport.mu.
	on    bool
	left  time.Time   // when the last viewer left
	timer *time.Timer // ends it linger after that; nil: no viewer has left it alone yet
}

// moment says how many bytes had come at a point in time.
type moment struct {
	at   time.Time
	size int64
}

// newBroadcast returns nil for a body that cannot go on air.
func newBroadcast(f *fill) *broadcast {
	t := f.t
	if t.Ring < 0 || f.body.Length() >= 0 || f.list || f.o.part != nil || f.entry.Status != 200 {
		return nil
	}
	ring := t.Ring
	if ring == 0 {
		ring = defaultRing
	}
	return &broadcast{f: f, began: time.Now(), ring: min(ring, t.pool().Max()/8), linger: max(t.Linger, 0)}
}

// hear looks at bytes that have come.
func (a *broadcast) hear(p []byte) {
	if a == nil {
		return
	}
	f := a.f
	a.mu.Lock()
	_, _ = a.scan.Write(p)
	_, known := a.scan.Point()
	a.mu.Unlock()
	if time.Since(a.began) < airAfter || f.detached || a.on {
		return // only this goroutine changes these fields
	}
	ripe, is := a.isRipe(), known || a.isStream()
	f.t.mu.Lock()
	if a.on = is && ripe; !is {
		f.air = nil
	}
	f.t.mu.Unlock()
	if !a.onAir() {
		return
	}
	f.t.channels.onAir(f.o.primary, f.o.asked)
	f.body.Gather(gatherFor, min(body.LargeChunk, a.ring/16), max(body.LargeChunk, min(longChunk, a.ring/8)))
	f.body.Nudge() // wakes those who wait for the end
}

// isStream reports whether a body that nobody can join in the middle may still be media: anything but text.
func (a *broadcast) isStream() bool {
	f := a.f
	if kind := hls.Essence(f.entry.Header.Get("Content-Type")); strings.HasPrefix(kind, "video/") || strings.HasPrefix(kind, "audio/") {
		return true
	}
	var start [hls.SniffLen]byte
	kind := hls.Sniff(start[:f.body.Start(start[:])], false)
	return kind == hls.Unknown || kind == hls.Video || kind == hls.Audio
}

// isRipe reports, at the end of each airAfter, whether the body has come as it is made for long enough. If a busy server could
// not read in time, it tries again.
func (a *broadcast) isRipe() bool {
	if a.inTime() {
		a.live += airAfter // even if it took longer: a long pause counts once
	} else {
		a.live, a.paused = 0, true
	}
	a.began, a.waited = time.Now(), a.f.waited
	after := a.f.t.channels.airAfter(a.f.o.primary)
	if a.paused {
		after = max(after, againAfter)
	}
	return a.live >= after
}

// inTime reports whether the bytes come as they are made: the fill waits for them nearly all of the time. A body that comes
// faster than its viewers read it is a file. Only the pump calls it.
func (a *broadcast) inTime() bool {
	if a == nil {
		return false
	}
	took := time.Since(a.began)
	if took < time.Second {
		return a.live > 0
	}
	return (a.f.waited-a.waited)*5 >= took*4
}

// onAir is for the pump and for callers that hold Transport.mu.
func (a *broadcast) onAir() bool { return a != nil && a.on }

// turnRing drops what has left the ring. It reports whether even the fastest viewer is far behind: then the origin can wait.
func (a *broadcast) turnRing(size int64) bool {
	begun, _, fastest := a.f.body.Readers()
	a.f.body.Drop(a.tail(size))
	return begun > 0 && size-fastest > min(readAhead, a.ring/2)
}

// tail is where the ring begins: ringTime ago, or at the point where a viewer would begin now if that is further back, but
// never more than ring bytes back.
func (a *broadcast) tail(size int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if n := len(a.past); n == 0 || now.Sub(a.past[n-1].at) >= ringTime/10 {
		a.past = append(a.past, moment{now, size})
	}
	for len(a.past) > 1 && now.Sub(a.past[1].at) >= ringTime {
		a.past = a.past[1:]
	}
	tail := int64(0)
	if now.Sub(a.past[0].at) >= ringTime {
		tail = a.past[0].size
	}
	if point, ok := a.scan.Point(); ok {
		tail = min(tail, point)
	}
	return max(tail, size-a.ring)
}

// point is the newest point where a viewer can begin, and the bytes to send first. ok is false if the ring has no such point,
// or is about to lose it: a viewer needs time to read. The caller holds Transport.mu.
func (a *broadcast) point() (off int64, prefix []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if off, ok = a.scan.Point(); !ok || a.f.body.State().Size-off > a.ring-a.ring/8 {
		return 0, nil, false
	}
	return off, a.scan.Prefix(), true
}

// joinable reports whether a new viewer can begin now. The caller holds Transport.mu.
func (a *broadcast) joinable() bool {
	if !a.onAir() {
		return true
	}
	_, _, ok := a.point()
	return ok
}

// tuneIn lets v begin at the newest point. It returns false if there is no such point any longer. The caller holds
// Transport.mu.
func (a *broadcast) tuneIn(v *viewer) bool {
	off, prefix, ok := a.point()
	if ok {
		v.prefix = prefix
		ok = a.f.body.Open(&v.part, off, math.MaxInt64)
	}
	return ok
}

// lingers reports whether a broadcast goes on for a while without viewers. The caller holds Transport.mu.
func (a *broadcast) lingers() bool {
	if !a.onAir() || a.linger == 0 {
		return false
	}
	if a.left = time.Now(); a.timer == nil {
		a.timer = time.AfterFunc(a.linger, a.giveUp)
	} else {
		a.timer.Reset(a.linger)
	}
	return true
}

// giveUp ends a broadcast whose last viewer left linger ago.
func (a *broadcast) giveUp() {
	f := a.f
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if f.shares <= 0 && time.Since(a.left) >= a.linger {
		f.giveUp()
	}
}

// end keeps the timer from holding a broadcast that has ended. The caller holds Transport.mu.
func (a *broadcast) end() {
	if a != nil && a.timer != nil {
		a.timer.Stop()
	}
}
