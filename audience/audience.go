package audience

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
	"log"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Audience keeps the sessions. The zero value is ready to use. Its fields must not change after first use. It may be used
// concurrently, and must not be copied.
type Audience struct {
	// Session returns the session name of a request, for example the session of a sign.Grant. Empty: it has no name. The first
	// 64 bytes of a name are shown. Nil: no request has a name.
	Session func(*http.Request) string
	// Stream returns the stream name of a request. Nil: the directory of a session's first playlist, with everything below it.
	// If paths hide their targets, as those of a sign.Sealer do, only Stream can know.
	Stream func(*http.Request) string
	// Key returns what [Audience.Limit] counts a session by, for example a token's owner. Nil: the name that Session returns,
	// else the address.
	Key func(*http.Request) string
	// Limit returns how many sessions a key may have at once. Zero or negative: no limit. A session beyond the limit is
	// answered with 429 and Retry-After. A session that was admitted stays, unless its page was loaded again: a new CMCD
	// session id from the same address and User-Agent takes the place of a session without a current request, at most 16 times
	// a minute, and the old one is refused while its place is taken. With a limit, an id from another address is another
	// session. Nil: no limit.
	Limit func(key string) int
	// Replace admits a session beyond the limit, and ends the oldest one of its key instead. This happens before next has
	// answered, so mount the Audience inside of the handler that decides who may watch.
	Replace bool
	// Proxies are trusted to name the client in X-Forwarded-For. The field is read from its end, up to the first address that
	// is not one of Proxies. Nil: the client is the address of the connection.
	Proxies []netip.Prefix

	// OnStart is called for each new session at its first answer, in the goroutine of that request. Nil: no call.
	OnStart func(Session)
	// OnEnd is called once for each session that began, when it ends, with the reason, and never before OnStart has returned.
	// It must return soon. Nil: no call.
	OnEnd func(Session, End)
	// OnServed is called after each request has been answered, see [Log]. It costs some allocations per request. Nil: no call.
	OnServed func(Served)

	// Idle is how long a session lasts without a request. A request under way, such as a blocking reload, counts as activity.
	// Zero: three target durations of the stream, between 10 s and 60 s, and 30 s while they are not known. Negative: without
	// end, until [Audience.Kick] or Sessions ends it.
	Idle time.Duration
	// Sessions is how many sessions are kept, at about 400 bytes each. More viewers are served, but not counted. Zero: 100,000.
	// Negative: no limit.
	Sessions int

	once    sync.Once
	begun   time.Time
	epoch   int64 // begun as Unix nanoseconds
	seed    maphash.Seed
	shards  []shard
	limits  limits
	live    atomic.Int64 // sessions kept
	lost    atomic.Uint64
	refused atomic.Uint64
	serial  atomic.Uint64

	streams streams
	bans    bans
	timer   struct {
		sync.Mutex
		running bool
	}
}

const (
	defaultSessions = 100_000
	shardCount      = 64 // about 1,500 sessions each at the default limit
	tick            = time.Second
	minIdle         = 10 * time.Second
	maxIdle         = 60 * time.Second
	unknownIdle     = 30 * time.Second
	kickedRest      = time.Minute // how long a kicked session must be silent before it may begin again
	maxStreamName   = 512
	maxAgent        = 256
)

func (a *Audience) init() {
	a.once.Do(func() {
		a.begun = time.Now()
		a.epoch = a.begun.UnixNano()
		a.seed = maphash.MakeSeed()
		a.shards = make([]shard, shardCount)
		a.limits.parts = make([]holders, shardCount)
		a.streams.byName = map[string]*stream{}
	})
}

// clock is the time in Unix nanoseconds. It reads only the monotonic clock, at half the cost.
func (a *Audience) clock() int64 { return a.epoch + int64(time.Since(a.begun)) }

// Handler counts the requests that pass to next. It ignores methods other than GET and HEAD, and pages, scripts and style
// sheets. A request with the name of a page counts if its answer is something else, and breaks off there if it must be refused.
// The ResponseWriter for next implements Unwrap, Flush and ReadFrom; next reaches everything else with http.ResponseController.
func (a *Audience) Handler(next http.Handler) http.Handler {
	a.init()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(next, w, r) })
}

func (a *Audience) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		next.ServeHTTP(w, r)
		return
	}
	kind := hls.ByName(r.URL.Path)
	if kind == hls.HTML || kind == hls.Plain {
		a.servePage(next, w, r)
		return
	}
	var who viewer
	now := a.clock()
	out := writers.Get().(*writer)
	out.ResponseWriter, out.a = w, a
	switch a.count(out, r, kind, &who, now) {
	case beyond:
		w.Header().Set("Retry-After", strconv.Itoa(int(minIdle/time.Second)))
		next = refusal(http.StatusTooManyRequests)
	case kicked:
		next = refusal(http.StatusForbidden)
	}
	if a.OnServed != nil {
		a.serveLogged(next, out, r, &who, now)
		return
	}
	a.pass(next, out, r)
}

// servePage serves requests with names of pages, scripts and style sheets. With mappers such as rewrite.Query the name has no
// meaning, and a viewer may give a stream the name of a page. So the answer decides.
func (a *Audience) servePage(next http.Handler, w http.ResponseWriter, r *http.Request) {
	out := writers.Get().(*writer)
	out.ResponseWriter, out.a, out.page = w, a, r
	if a.OnServed != nil {
		var told cmcd.Data
		var who viewer
		told.Read(r)
		who.identify(a, r, &told)
		a.serveLogged(next, out, r, &who, a.clock())
		return
	}
	a.pass(next, out, r)
}

// pass lets next answer, and then ends the count.
func (a *Audience) pass(next http.Handler, w *writer, r *http.Request) {
	returned := false
	defer func() { w.finish(returned) }()
	next.ServeHTTP(w, r)
	returned = true
}

// serveLogged serves a request for which OnServed is called.
func (a *Audience) serveLogged(next http.Handler, w *writer, r *http.Request, who *viewer, at int64) {
	now := time.Unix(0, at)
	why := new(failure)
	who.locate(a, r)
	out := Served{
		At: now, Name: shown(who.name, maxName), Method: r.Method, Path: Redact(r.URL.Path), Proto: r.Proto,
		Addr: who.network(), Agent: shown(r.UserAgent(), maxAgent), Referer: RedactURL(r.Referer()),
	}
	returned := false
	defer func() {
		end := time.Unix(0, a.clock())
		out.Status, out.Bytes, out.Duration, out.First = w.status, w.bytes.Load(), end.Sub(now), end.Sub(now)
		if out.Status == 0 && returned {
			out.Status = http.StatusOK
		}
		if !w.first.IsZero() {
			out.First = w.first.Sub(now)
		}
		out.Broken = !returned || w.err != nil
		if out.Err = why.cause(); out.Err == nil {
			out.Err = w.err
		}
		if w.broken.Load() {
			out.Err = errKicked
		}
		if s := w.session; s != nil {
			sh := a.shardOf(s.id)
			sh.Lock()
			out.Session, out.Stream = s.publicID(), s.stream.name
			sh.Unlock()
		}
		h, page := w.Header(), w.page != nil
		out.Kind, out.Cache = kindOf(r.URL.Path, h), cacheStatus(h)
		w.finish(returned)
		if !page {
			hook(func() { a.OnServed(out) })
		}
	}()
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), failureKey{a}, why)))
	returned = true
}

// count finds or begins the session of a request, and adds w to it. It fills who.
func (a *Audience) count(w *writer, r *http.Request, kind hls.Kind, who *viewer, at int64) verdict {
	var told cmcd.Data
	told.Read(r)
	name := ""
	if a.Stream != nil {
		name = a.Stream(r)
	}
	who.identify(a, r, &told)
	v := a.admit(r, who, &told, name, w, at)
	switch v {
	case beyond, kicked:
		a.refused.Add(1)
	case uncounted:
		a.lost.Add(1)
	case admitted:
		if kind == hls.Playlist {
			w.path = r.URL.Path
		}
	}
	return v
}

// OnFailure has the signature of the hooks of that name in this module. Its error is in the Served of the request.
func (a *Audience) OnFailure(r *http.Request, err error) {
	f, ok := r.Context().Value(failureKey{a}).(*failure)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// Kick ends the session with this id: its answers break off, and its requests get a 403 until it has been silent for a minute.
// If it has no name, no other session of that stream can begin with its address and User-Agent for a minute, so that loading
// the page again does not help. Kick returns false if there is no such session.
func (a *Audience) Kick(id string) bool {
	a.init()
	who, serial, ok := parseID(id)
	if !ok {
		return false
	}
	sh := a.shardOf(who)
	sh.Lock()
	s := sh.byID[who]
	for s != nil && s.serial != serial {
		s = s.next
	}
	if s == nil || s.out {
		sh.Unlock()
		return false
	}
	told := a.expel(s)
	if s.by != ByName {
		a.bans.add(s.place, s.stream, a.clock())
	}
	a.limits.leave(s)
	sh.Unlock()
	a.ended(s, told, Kicked)
	return true
}

// All iterates over the sessions, in no order. Sessions that begin or end meanwhile may be missing.
func (a *Audience) All() iter.Seq[Session] {
	return func(yield func(Session) bool) {
		a.init()
		a.sweep(a.clock())
		for i := range a.shards {
			for _, s := range a.shards[i].list() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Snapshot is the state of an Audience at one moment.
type Snapshot struct {
	At       time.Time // when it was taken
	Streams  []Stream  // by name
	Sessions []Session // in no order
	Refused  uint64    // requests answered 429 or 403 so far
	Lost     uint64    // requests of viewers that were not counted for lack of room
}

// Stream is a stream with viewers.
type Stream struct {
	Name    string    // redacted, see Redact
	Since   time.Time // when the oldest of its sessions began
	Viewers int       // sessions now
	Bytes   uint64    // of answers that have ended while it had viewers
}

// Snapshot returns all streams and sessions. It visits every session; use [Audience.All] to stop earlier.
func (a *Audience) Snapshot() Snapshot {
	snap := Snapshot{At: time.Now(), Refused: a.refused.Load(), Lost: a.lost.Load()}
	byName := map[string]int{}
	for s := range a.All() {
		snap.Sessions = append(snap.Sessions, s)
		i, known := byName[s.Stream]
		if !known {
			i = len(snap.Streams)
			byName[s.Stream] = i
			snap.Streams = append(snap.Streams, Stream{Name: s.Stream, Since: s.Since})
		}
		st := &snap.Streams[i]
		st.Viewers++
		if s.Since.Before(st.Since) {
			st.Since = s.Since
		}
	}
	a.streams.Lock()
	for _, st := range a.streams.byName {
		if i, known := byName[st.name]; known {
			snap.Streams[i].Bytes += st.bytes.Load()
		}
	}
	a.streams.Unlock()
	slices.SortFunc(snap.Streams, func(x, y Stream) int { return cmp.Compare(x.Name, y.Name) })
	return snap
}

// event calls OnStart or OnEnd. A goroutine of its own keeps runtime.Goexit in the hook (as t.FailNow does) from the timer, and
// from a viewer's request that has just been counted.
func event(call func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		hook(call)
	}()
	<-done
}

// hook calls a hook of the caller. A panic must not end the process.
func hook(call func()) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("audience: a hook failed: %v", v)
		}
	}()
	call()
}

func refusal(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, http.StatusText(status), status)
	})
}
