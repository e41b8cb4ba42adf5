package audience

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

// Session is one viewer of one stream.
type Session struct {
	ID       string        // for Kick
	By       By            // how it is identified
	Name     string        // if By is ByName or ByCMCD; in the latter case the viewer chose it
	Addr     netip.Addr    // of IPv6 the first 64 bits; the zero Addr if a proxy hides it
	Stream   string        // its name, redacted
	Variant  string        // its last playlist, below the stream; empty: none yet
	Since    time.Time     // its first request
	Last     time.Time     // when its last request came; while one is under way, when that was last checked
	Requests uint64        // so far
	Bytes    uint64        // of bodies, as far as they were sent
	Active   int           // requests under way
	Startup  time.Duration // until it had enough to play, from CMCD; zero: unknown
	Stalls   int           // how often its buffer ran dry since, from CMCD
	Bitrate  int64         // bits per second of its last request, from CMCD; zero: unknown
}

// End is why a session ended.
type End uint8

// The values of End.
const (
	Silent   End = iota // it sends no more requests
	Kicked              // by Audience.Kick
	Replaced            // by another session of its key, see Audience.Replace, or by the same viewer's next one
)

// String is "silent", "kicked" or "replaced".
func (e End) String() string { return endTexts[e] }

var endTexts = [...]string{Silent: "silent", Kicked: "kicked", Replaced: "replaced"}

// MarshalText is String: JSON has the word.
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText writes. Anything else is an error.
func (e *End) UnmarshalText(text []byte) (err error) {
	*e, err = valueOf[End](endTexts[:], text)
	return err
}

// session is the internal form of a Session. The lock of its shard guards its fields, except those that never change.
type session struct {
	id      id
	serial  uint64
	by      By
	addr    netip.Addr
	name    string
	place   uint64
	since   int64 // in Unix nanoseconds, like last
	next    *session
	writers *writer // requests under way

	stream   *stream
	variant  string
	last     int64
	requests uint64
	bytes    uint64
	startup  time.Duration
	bitrate  int64
	stalls   int32
	active   atomic.Int32
	starting bool // its player said that it was not playing yet
	begun    atomic.Bool
	out      bool   // it was ended, and is kept so that it does not come back at once
	telling  bool   // OnStart has not returned yet
	end      func() // calls OnEnd after OnStart has returned; nil: it has not ended

	// Guarded by the lock of its holders.
	holder       *holder
	held         bool
	older, newer *session
}

type shard struct {
	sync.Mutex
	byID map[id]*session
	_    [40]byte // each on its own cache line
}

// find returns the session of a viewer to which a request belongs. The caller holds the shard.
func (sh *shard) find(who id, name, urlPath string) *session {
	for s := sh.byID[who]; s != nil; s = s.next {
		if s.stream.prefix != "" {
			if strings.HasPrefix(urlPath, s.stream.prefix) {
				return s
			}
		} else if s.stream.key == name {
			return s
		}
	}
	return nil
}

// widen moves a session to the stream that is known now, if its first playlist lay below that stream. The caller holds the
// shard.
func (sh *shard) widen(who id, st *stream, all *streams) *session {
	if st.prefix == "" {
		return nil
	}
	for s := sh.byID[who]; s != nil; s = s.next {
		if len(s.stream.prefix) > len(st.prefix) && s.stream.prefix[:len(st.prefix)] == st.prefix {
			old := s.stream
			st.target.CompareAndSwap(0, old.target.Load())
			s.stream, s.variant = st, ""
			all.drop(old)
			return s
		}
	}
	return nil
}

// enter records that a request has come. The caller holds the shard.
func (s *session) enter(w *writer, now int64, told *cmcd.Data) {
	s.last = now
	s.requests++
	s.active.Add(1)
	w.session = s
	w.next = s.writers
	if w.next != nil {
		w.next.prev = w
	}
	s.writers = w
	if told.Said {
		s.listen(told, now)
	}
}

func (s *session) listen(told *cmcd.Data, now int64) {
	if told.Bitrate > 0 {
		s.bitrate = told.Bitrate
	}
	switch {
	case told.StartDelay > 0:
		s.startup = told.StartDelay
	case told.Startup:
		s.starting = s.startup == 0
	case s.starting:
		s.starting, s.startup = false, time.Duration(now-s.since)
	}
	if told.Starved && !told.Startup && s.stalls < 1<<30 {
		s.stalls++
	}
}

// leave records that a request has been answered. The caller holds the shard. The time of a request under way is measured in
// ticks of the timer: to read the clock again costs a fifth of the whole handler.
func (s *session) leave(w *writer) {
	s.active.Add(-1)
	if sent := uint64(w.bytes.Load()); sent > 0 {
		s.bytes += sent
		s.stream.bytes.Add(sent)
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		s.writers = w.next
	}
	w.next, w.prev, w.session = nil, nil, nil
}

// public is the exported form of s. The caller holds the shard.
func (s *session) public() Session {
	bytes := s.bytes
	for w := s.writers; w != nil; w = w.next {
		bytes += uint64(w.bytes.Load())
	}
	return Session{
		ID: s.publicID(), By: s.by, Name: s.name, Addr: s.addr, Stream: s.stream.name, Variant: s.variant,
		Since: time.Unix(0, s.since), Last: time.Unix(0, s.last), Requests: s.requests, Bytes: bytes, Active: int(s.active.Load()),
		Startup: s.startup, Stalls: int(s.stalls), Bitrate: s.bitrate,
	}
}

func (sh *shard) list() []Session {
	sh.Lock()
	defer sh.Unlock()
	var all []Session
	for _, s := range sh.byID {
		for ; s != nil; s = s.next {
			if s.begun.Load() && !s.out {
				all = append(all, s.public())
			}
		}
	}
	return all
}

// maxStreams is how many streams one viewer may watch at once, so that the search for a session is short.
const maxStreams = 8

// count is the number of sessions of a viewer. The caller holds the shard.
func (sh *shard) count(who id) int {
	n := 0
	for s := sh.byID[who]; s != nil; s = s.next {
		n++
	}
	return n
}
