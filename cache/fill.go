package cache

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// keepFilling is the longest body that is fetched to its end after everybody has left: another viewer is likely, and at most
// this much is wasted if none comes. A longer body is finished only if half of it has arrived.
const keepFilling = 32 << 20

// fill is an answer on its way from the origin. It runs on its own: viewers come, follow its buffer, and leave.
type fill struct {
	t     *Transport
	o     *flight
	how   string // the Cache-Status of the viewers that wait for it
	entry *Entry // Body and TTL are set at the end
	body  *body.Buffer
	src   io.ReadCloser
	ctx   context.Context
	keep  bool          // the header allows storing it
	aged  bool          // it was old when it came
	wait  time.Duration // how long the header took
	pause time.Duration // how long the origin may be silent

	list   bool                  // it is expected to be a playlist
	whole  atomic.Bool           // all of it is here, but it may not be stored yet
	judged atomic.Pointer[Entry] // the whole, with its TTL, set before the body ends
	silent atomic.Int64          // since when it waits for bytes, in nanoseconds after o.asked

	air    *broadcast    // nil: the body has an end. Changed by the pump, below Transport.mu
	waited time.Duration // for bytes of the body; only the pump uses it

	once   sync.Once
	length int64 // as the origin told it later, if the answer had none; see total

	// Below Transport.mu.
	shares   int
	settled  bool // it no longer counts as a fill
	over     bool // run has ended; the last share gives back the memory
	detached bool // not to be kept: nobody joins, and bytes that all have read are dropped
}

// newFill is not ok for an answer that must not be shared.
func newFill(o *flight, resp *http.Response) (*fill, bool) {
	c := rules.ParseControl(resp.Header)
	vary, ok := o.varyOf(resp.Header)
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	isSlice := o.part != nil
	if isSlice {
		vary = nil // the whole was chosen already, and the key names it
	}
	if !isSlice && (!ok || o.isPrivate(resp, c) || endless(resp) || resp.ContentLength > o.t.maxBody()) {
		return nil, false
	}
	e, length := newEntry(o, resp, vary), resp.ContentLength
	how := statusMiss
	if o.kept != nil {
		how = statusStale
	}
	f := &fill{
		t: o.t, o: o, how: how, entry: e, src: resp.Body, ctx: o.req.Context(), wait: time.Since(o.asked),
		body:  o.t.pool().NewBuffer(length),
		keep:  o.t.Store != nil && (isSlice || keepable(resp, c) || o.leadsToMedia(resp)) && !streamed(resp),
		pause: o.t.pause(o.req.Context()), aged: resp.Header["Age"] != nil || resp.Header[rules.ExactAge] != nil,
	}
	if o.early && !isSlice && resp.StatusCode != http.StatusOK {
		f.keep = false // a file that is missing now may exist when a viewer asks
	}
	f.list = hls.IsPlaylist(resp.Header.Get("Content-Type"), o.req.URL.Path)
	f.air = newBroadcast(f)
	f.silent.Store(int64(f.wait))
	return f, true
}

// keys are the keys under which viewers find the fill: the one that was asked for and, if answers vary, the key of its variant.
func (f *fill) keys() [2]string { return [...]string{f.o.key, keyOf(f.o.primary, f.entry)} }

// errMissed is what becomes of a viewer whose first byte a fill has dropped already.
var errMissed = &fault{reason: ErrBroken}

// follow answers r from a running fill. The caller holds a share of it.
func (f *fill) follow(r *http.Request, part *slice, joined bool) (*http.Response, error) {
	t := f.t
	if joined && part == nil {
		alone, err := f.awaitKind(r.Context())
		if alone || err != nil {
			f.leave(1)
			if err != nil {
				return nil, err
			}
			return t.passAlone(r)
		}
	}
	s := source{t: t, r: r, entry: f.entry, fill: f, length: f.body.Length(), status: f.how, age: (joined || f.aged) && !f.isDetached(), part: part}
	switch {
	case joined:
		s.status += "; collapsed"
	case f.promises():
		s.status += "; stored"
	}
	resp, err, returned := (*http.Response)(nil), error(nil), false
	defer func() {
		if !returned { // a hook has ended the viewer's goroutine
			f.leave(1)
		}
	}()
	if f.list && f.entry.Status == http.StatusOK {
		var whole *Entry
		if whole, err = f.awaitEnd(r); whole != nil {
			s.entry = whole
			if whole.Body != nil {
				s.length = whole.size()
			}
		}
	}
	if err == nil {
		resp, err = s.answer()
	}
	returned = true
	if err != nil || resp.Body == http.NoBody {
		f.leave(1)
	}
	if err == errMissed && part == nil {
		return t.passBeside(r)
	}
	return resp, err
}

// show lets v read the bytes from off to end. If exactly is false, a broadcast begins at its current position instead. show
// returns false if the first byte is gone: the fill went on air after v had come, or the ring has turned.
func (f *fill) show(v *viewer, off, end int64, exactly bool) bool {
	v.fill, v.sent = f, &f.t.count.fillBytes
	if !exactly {
		f.t.mu.Lock()
		if f.air.onAir() {
			defer f.t.mu.Unlock()
			return f.air.tuneIn(v)
		}
		f.t.mu.Unlock()
	}
	if end == f.body.Length() {
		end = math.MaxInt64 // at the end of the body, which comes when the body is stored
	}
	return f.body.Open(&v.part, off, end)
}

// leave gives back n shares. When nobody is left, the fill goes on only if its end is near.
func (f *fill) leave(n int) {
	f.t.mu.Lock()
	f.shares -= n
	if f.shares <= 0 && !f.settled && !f.worthwhile() && !f.air.lingers() {
		f.giveUp()
	}
	f.t.recount(f.o)
	f.t.boundLeft(f.t.maxFills())
	f.body.Wake()
	free := n > 0 && f.shares == 0 && f.over
	f.t.mu.Unlock()
	if free {
		f.body.Return()
	}
}

// giveUp ends the request to the origin, and frees its place at once. The caller holds Transport.mu.
func (f *fill) giveUp() {
	if f.settled {
		return
	}
	f.o.barred.Store(true)
	f.t.settle(f)
	f.o.cancel(errAbandoned)
	go f.t.close(f.src) // for a Body that ignores its context
}

func (f *fill) worthwhile() bool {
	s := f.body.State()
	if s.Ended || f.whole.Load() {
		return true // nothing is left to stop
	}
	length := f.body.Length()
	return f.keep && !f.o.barred.Load() && !f.detached && !f.body.Short() && length >= 0 && (length <= keepFilling || s.Size >= length/2)
}

// promises reports whether, by its header, the answer will be stored if it comes whole. For a playlist, or with a TTL of the
// caller, the body has a say as well.
func (f *fill) promises() bool {
	e := f.entry
	switch {
	case !f.keep || e.Status != http.StatusOK:
		return false
	case f.t.TTL != nil, f.list:
		return true
	}
	ttl := HLS(e)
	return ttl > e.Age() || ttl >= 0 && rules.Conditional(http.Header{}, e.Header)
}

// toStore reads a fill to its end, for nobody, with a share of its own. It stops if the fill turns out too long to be kept.
func (f *fill) toStore(ctx context.Context) {
	v := &viewer{ctx: ctx}
	defer v.Close()
	defer f.o.disown()
	if f.show(v, 0, math.MaxInt64, true) {
		v.sent = new(atomic.Uint64) // to nobody
		for err := error(nil); err == nil && !f.isDetached(); {
			_, err = io.CopyN(io.Discard, v, body.LargeChunk)
		}
	}
}

// Viewers wait for the end of a playlist, because its end decides which freshness they are told. They wait for at most this
// many bytes and this long.
const (
	mostAwaited = listAhead / 2
	awaitedFor  = time.Second
)

// awaitEnd waits for the end of an expected playlist. It returns nil if the body proves to be something else. Another cache is
// also told whether the encoder has begun again, so it waits longer.
func (f *fill) awaitEnd(r *http.Request) (*Entry, error) {
	ctx, wait := r.Context(), awaitedFor
	if r.Header[tierField] != nil {
		wait = max(wait, f.t.idle()/2)
	}
	var late <-chan time.Time
	var start [64]byte // a viewer has a small stack
	for {
		st := f.body.State()
		switch {
		case st.Err != nil:
			return nil, st.Err
		case st.Ended:
			return f.judged.Load(), nil
		case st.Size > mostAwaited || f.isDetached() || f.body.Short():
			return f.unknown(), nil
		}
		if st.Size > 0 {
			n := f.body.Start(start[:])
			if is, known := hls.StartsPlaylist(start[:n]); known && !is {
				return nil, nil
			}
			if late == nil {
				late = time.After(wait)
			}
		}
		if isLate, err := f.more(ctx, st.Size, late); err != nil {
			return nil, err
		} else if isLate {
			return f.unknown(), nil
		}
	}
}

// awaitKind waits until it is known whether a body without a declared length may be a key. A key is for its asker alone. So is
// a body that nobody can wait for because memory is short.
func (f *fill) awaitKind(ctx context.Context) (alone bool, err error) {
	if f.entry.Status != http.StatusOK || f.body.Length() >= 0 || !f.isKeyOf(longestKey) {
		return false, nil
	}
	for {
		st := f.body.State()
		switch {
		case st.Err != nil:
			return false, st.Err
		case st.Size > longestKey:
			return false, nil
		case st.Ended:
			return f.isKeyOf(st.Size), nil
		case f.isDetached() || f.body.Short():
			return true, nil
		}
		if _, err := f.more(ctx, st.Size, nil); err != nil {
			return false, err
		}
	}
}

func (f *fill) isKeyOf(length int64) bool { return keyLike(f.o.req.URL.Path, f.entry.Header, length) }

// unknown is the header of a playlist that may be live, because its end has not come yet.
func (f *fill) unknown() *Entry {
	e := *f.entry
	e.Live, e.TTL = true, e.Age()
	return &e
}

// more waits for a change of a body of this size. isLate: late came first.
func (f *fill) more(ctx context.Context, size int64, late <-chan time.Time) (isLate bool, err error) {
	more := f.body.Grown(size)
	if more == nil {
		return false, nil
	}
	select {
	case <-more:
		return false, nil
	case <-late:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// lengthAwaited is how long a range waits for the end of a body, which gives its length. After that the whole is sent instead.
const lengthAwaited = 2 * time.Second

var errOutgrown = errors.New("cache: too long to wait for its end")

// learn returns the length of a body that came without one. It returns -1 if the length cannot be known yet: every range is
// then answered with the whole, because players give up if they first get a 206 of unknown length and then a 200. Only a range
// that follows the body can be answered; learn waits for its first byte. It fails with errOutgrown if the body proves too long
// to wait for.
func (f *fill) learn(ctx context.Context, s httprange.Spec) (int64, error) {
	if !follows(s) {
		if total := f.total(); total >= 0 {
			return total, nil
		}
	}
	late := time.After(lengthAwaited)
	for {
		st := f.body.State()
		switch {
		case st.Err != nil:
			return 0, st.Err
		case st.Ended:
			return st.Size, nil
		case follows(s) && s.First < st.Size:
			return -1, nil
		case f.isDetached():
			return 0, errOutgrown
		}
		if isLate, err := f.more(ctx, st.Size, late); err != nil {
			return 0, err
		} else if isLate && !follows(s) {
			return -1, nil
		}
	}
}

// total is the length of the body as the origin tells it, -1 if it does not. It asks the origin once for the first byte. The
// Content-Range of the answer has the length, if it is of the same version.
func (f *fill) total() int64 {
	f.once.Do(func() {
		f.length = -1
		h := f.entry.Header
		if name, _ := rules.Strong(h); name == "" || h.Get("Accept-Ranges") == "none" {
			return
		}
		ctx, cancel := context.WithTimeout(f.ctx, f.t.idle())
		defer cancel()
		r := f.o.req.Clone(ctx)
		delete(r.Header, "If-None-Match")
		delete(r.Header, "If-Modified-Since")
		r.Header["Range"] = []string{"bytes=0-0"}
		resp, err := f.t.ask(r)
		if err != nil || resp == nil || resp.Body == nil {
			return
		}
		defer f.t.close(resp.Body)
		c, ok := httprange.ParseContentRange(resp.Header)
		same := resp.StatusCode == http.StatusPartialContent && ok && c.First == 0
		for _, name := range [...]string{"Etag", "Last-Modified"} {
			same = same && resp.Header.Get(name) == h.Get(name)
		}
		if same {
			f.length = c.Size
		}
	})
	return f.length
}
