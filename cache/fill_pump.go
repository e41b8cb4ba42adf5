package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

var errDrips = &fault{ErrIdle, errors.New("it drips")}

// run reads the origin's answer to its end and stores it if it came whole. Viewers get the last bytes before that, unless it is
// a playlist, but see the end only after it.
func (f *fill) run() {
	last, stored, err := 0, false, errExited
	defer f.free()
	defer func() { f.end(last, stored, err) }() // also in a goroutine that a hook ended
	if last, err = f.pump(); err == nil {
		f.whole.Store(true)
		stored = f.store(last)
	}
}

// end shows viewers the outcome, with the last bytes of a playlist if all went well.
func (f *fill) end(last int, stored bool, err error) {
	if f.isOnAir() {
		f.t.channels.onAir(f.o.primary, f.o.asked)
	}
	if err == nil {
		f.settle()
		f.body.Commit(last)
		f.body.End(nil)
	} else {
		f.fail(err)
	}
	f.o.cancel(nil)
	f.t.close(f.src)
	f.o.report(Fill{Status: f.entry.Status, Wait: f.wait, Bytes: f.body.State().Size, Stored: stored, Err: err})
}

// free gives the memory back, or leaves that to the last share.
func (f *fill) free() {
	f.t.mu.Lock()
	f.over = true
	last := f.shares <= 0
	f.t.mu.Unlock()
	if last {
		f.body.Return()
	}
}

// settle takes the fill off the lists, and frees its place. After that nobody can join it.
func (f *fill) settle() {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	f.t.settle(f)
	f.air.end()
}

// fail tells every viewer that the body broke. Nobody may join between that and the removal from the list.
func (f *fill) fail(err error) {
	f.settle()
	if !f.body.End(err) {
		return
	}
	if errors.Is(err, errAbandoned) {
		f.t.count.abandoned.Add(1)
	} else {
		f.t.count.errors.Add(1)
	}
}

// store judges the whole answer and keeps it for as long as TTL says. It reports whether it was kept.
func (f *fill) store(last int) bool {
	if !f.keep && !f.list || f.isDetached() || f.body.State().Ended {
		return false
	}
	whole := *f.entry
	sealed := f.body.Seal(last)
	whole.Body = sealed
	if _, reads := f.t.Store.(*Memory); !reads || f.body.Length() < 0 {
		// Viewers still read the other one. A Store owns this one, also if it embeds a Memory, which would only read it.
		whole.Header = whole.Header.Clone()
		whole.Header["Content-Length"] = []string{strconv.FormatInt(sealed.Size(), 10)}
	}
	list, err := f.o.judge(&whole)
	if err != nil {
		return false
	}
	f.judged.Store(&whole)
	if f.o.barred.Load() {
		return false
	}
	names := f.o.notice(&whole, list)
	if !f.keep || whole.TTL < 0 || !whole.fresh() && !rules.Conditional(http.Header{}, whole.Header) || f.o.store(&whole) != nil {
		return false
	}
	f.t.count.stored.Add(1)
	if names.list != "" {
		f.t.memory().windows.set(names.list, names.names)
	}
	f.o.lead()
	return true
}

// worthYielding is how much must be there before the pump lets readers go first. To wake them for less costs more than it
// gains.
const worthYielding = 16 << 10

// pump copies from the origin until it ends. It returns nil if the answer came whole. The last bytes of what may be a playlist
// are then not yet committed: players act on a playlist as soon as they have it.
func (f *fill) pump() (last int, err error) {
	defer f.t.recovered(&err)
	idle := time.AfterFunc(f.pause, func() {
		// A Body that ignores its context must not hold up the viewers.
		err := &fault{reason: ErrIdle}
		f.fail(err)
		f.o.cancel(err)
		f.t.close(f.src)
	})
	defer idle.Stop()
	length, size := f.body.Length(), int64(0)
	var beyond [1]byte
	for {
		room, err := f.room()
		if err != nil {
			return 0, err
		}
		if drips(f.t.MinRate, size, length, f.waited) {
			return 0, errDrips
		}
		asked := time.Now()
		f.silent.Store(int64(asked.Sub(f.o.asked)))
		n, err := f.read(room, idle)
		f.waited += time.Since(asked)
		have := size + int64(n)
		for err == nil && have == length {
			var more int
			more, err = f.read(beyond[:], idle)
			have += int64(more)
		}
		isWhole := err == io.EOF && (have == length || length < 0 && context.Cause(f.ctx) == nil)
		switch {
		case length >= 0 && have > length:
			return 0, &fault{ErrBroken, errors.New("more bytes than declared")}
		case isWhole && f.mayBeList(room[:n]):
			return n, nil
		case isWhole:
		case err != nil && context.Cause(f.ctx) != nil:
			return 0, context.Cause(f.ctx)
		case err == io.EOF:
			return 0, &fault{ErrBroken, io.ErrUnexpectedEOF}
		case err != nil:
			return 0, &fault{ErrBroken, err}
		}
		f.body.Commit(n)
		size += int64(n)
		if !isWhole {
			f.air.hear(room[:n])
		}
		if size >= worthYielding {
			runtime.Gosched() // readers go on, and meanwhile more arrives, which takes one read instead of several
		}
		if isWhole {
			return 0, nil
		}
	}
}

// mayBeList reports whether a body with these last bytes may be a playlist.
func (f *fill) mayBeList(last []byte) bool {
	var first [listStart]byte
	n := f.body.Start(first[:])
	n += copy(first[n:], last)
	return !isOther(first[:n])
}

// stalls reports whether the origin has been silent for half its time. A newcomer should then start a fetch of its own rather
// than join one that is about to time out. A Store may take its time.
func (f *fill) stalls() bool {
	return !f.whole.Load() && time.Since(f.o.asked)-time.Duration(f.silent.Load()) > f.pause/2
}

// read is one Read of the origin's body, with the idle limit.
func (f *fill) read(p []byte, idle *time.Timer) (int, error) {
	idle.Reset(f.pause)
	n, err := f.src.Read(p)
	if !idle.Stop() {
		return 0, &fault{reason: ErrIdle}
	}
	if n < 0 || n > len(p) {
		return 0, &fault{ErrBroken, errors.New("invalid count from Read")}
	}
	f.t.count.originBytes.Add(uint64(n))
	return n, err
}

const (
	// readAhead is how far the origin may run ahead of the slowest viewer of a body that may have no end.
	readAhead = 4 << 20
	// lonely is the longest body of undeclared length that is kept together for one viewer. It may be an endless stream, and
	// only newcomers would need its beginning. All but the largest segments are shorter.
	lonely = 8 << 20
	// listAhead is how much of a playlist of undeclared length is fetched before its viewer has read it. Playlist readers
	// read to the end at once, up to a limit.
	listAhead = 1 << 20
	// shortAhead is how far the origin may run ahead of the fastest viewer while memory is short.
	shortAhead = 256 << 10
	// holdUp is how long a viewer that stands still may hold up others when there is no memory.
	holdUp = time.Second
	// otherBodies is how much memory the bodies of running fills may take if the Store is no Memory.
	otherBodies = 256 << 20
)

// room returns where the next bytes of the body go. It waits while the origin is far enough ahead of the viewers, or while
// there is no memory. A detached fill reuses the memory that its viewers have read.
func (f *fill) room() ([]byte, error) {
	var moved <-chan struct{}
	for {
		ahead, err := f.isAhead()
		if err != nil {
			return nil, err
		}
		if !ahead {
			p, err := f.space()
			if p != nil || err != nil {
				return p, err
			}
		}
		if moved == nil {
			moved = f.body.Moved()
			continue // somebody may have moved before that
		}
		if err := f.await(moved, !ahead); err != nil {
			return nil, err
		}
		moved = nil
	}
}

// await waits until a viewer has moved. If memory is short it waits only for a while: then viewers that stand still lose what
// they have not read, if others wait for more.
func (f *fill) await(moved <-chan struct{}, memory bool) error {
	var patience <-chan time.Time
	if memory {
		patience = time.After(holdUp)
	}
	for {
		select {
		case <-moved:
			return nil
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		case <-patience:
			f.leaveBehind()
		}
	}
}

// isAhead reports whether the pump has to wait for viewers. It detaches a fill that is too long to be kept, and drops the bytes
// that all viewers of a detached fill have read.
func (f *fill) isAhead() (bool, error) {
	length, size := f.body.Length(), f.body.State().Size
	short := f.body.Short()
	limit := min(f.t.maxBody(), f.t.pool().Max())
	if !short && !f.detached && (length >= 0 || size <= min(limit, listAhead)) {
		return false, nil // only this goroutine detaches
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if f.air.onAir() {
		return f.air.turnRing(size), nil
	}
	begun, slowest, fastest := f.body.Readers()
	if f.shares > begun {
		slowest = 0 // somebody has a share and has not begun
	}
	alone := length < 0 && f.shares == 1 && begun == 1
	if length < 0 && size > limit || alone && size > lonely && !f.air.inTime() {
		f.detach()
	}
	switch {
	case (f.detached || short) && f.shares <= 0:
		return false, errAbandoned
	case f.detached:
		if length < 0 && size > f.t.maxBody() {
			f.t.unshareable.add(unshareableFor, f.o.key)
		}
		f.body.Drop(slowest)
		return size-slowest > readAhead, nil
	case alone && f.list:
		return size-slowest > listAhead, nil
	case short:
		return size-fastest > shortAhead, nil
	}
	return false, nil
}

// space returns free memory. If there is none, the fill is detached, and reuses what its viewers have read. It returns nil if
// they have read nothing yet.
func (f *fill) space() ([]byte, error) {
	if p := f.body.Space(); p != nil {
		return p, nil
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	begun, slowest, fastest := f.body.Readers()
	switch {
	case f.air.onAir():
		slowest = fastest
	case f.shares <= 0:
		return nil, errAbandoned
	case f.shares > begun:
		slowest = 0
	}
	if !f.air.onAir() {
		f.detach()
	}
	f.body.Drop(slowest)
	p := f.body.Space()
	if p == nil && slowest == f.body.State().Size {
		p = f.body.LastResort()
	}
	return p, nil
}

// leaveBehind drops what the fastest viewer of a detached fill has read, if nothing else can be dropped.
func (f *fill) leaveBehind() {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	begun, slowest, fastest := f.body.Readers()
	if f.detached && f.shares == begun && slowest < fastest && fastest >= f.body.State().Size {
		f.body.Drop(fastest)
		f.body.Wake()
	}
}

// detach takes the fill off the lists, once, and tells those who wait for its end. The caller holds Transport.mu.
func (f *fill) detach() {
	if f.detached {
		return
	}
	f.detached = true
	f.t.unlist(f)
	f.body.Nudge()
}

// isOnAir is broadcast.onAir for all but the pump.
func (f *fill) isOnAir() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.air.onAir()
}

// isDetached reports whether the fill will never be kept.
func (f *fill) isDetached() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.detached || f.air.onAir()
}
