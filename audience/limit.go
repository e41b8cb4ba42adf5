package audience

import (
	"hash/maphash"
	"net/http"
	"slices"
	"sync"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

// holder is one key, with its sessions, the oldest first.
type holder struct {
	in             *holders
	key            uint64
	n              int
	oldest, newest *session
	gone           []gone
	resting        bool // it is in atRest
}

// gone is a session that was replaced by its viewer's next one. If it could come back, two players could take turns.
type gone struct {
	id id
	at int64 // the time of its last request
}

const (
	mostGone = 16  // of one key in a minute
	mostSeen = 256 // how many sessions of a key are searched for one that was loaded again
)

// holders are the holders of some keys. Their lock comes after that of a shard.
type holders struct {
	sync.Mutex
	byKey  map[uint64]*holder
	atRest []*holder // holders without sessions that still remember the replaced ones
}

type verdict uint8

const (
	uncounted verdict = iota // there is no room, or the viewer watches too many streams at once
	admitted
	beyond // more than the limit
	kicked
)

// admit finds or begins the session of a request.
func (a *Audience) admit(r *http.Request, v *viewer, told *cmcd.Data, name string, w *writer, at int64) verdict {
	sh := a.shardOf(v.id)
	sh.Lock()
	s := sh.find(v.id, name, r.URL.Path)
	if s != nil {
		defer sh.Unlock()
		return a.readmit(s, told, w, at)
	}
	sh.Unlock()
	return a.begin(sh, r, v, told, name, w, at)
}

// readmit continues a session. The caller holds its shard.
func (a *Audience) readmit(s *session, told *cmcd.Data, w *writer, now int64) verdict {
	if s.out {
		s.last = now
		return kicked
	}
	s.enter(w, now, told)
	return admitted
}

func (a *Audience) begin(sh *shard, r *http.Request, v *viewer, told *cmcd.Data, name string, w *writer, now int64) verdict {
	a.locate(v, r)
	prefix := ""
	if a.Stream == nil {
		name = directoryOf(r.URL.Path)
		prefix = name
	}
	if v.by != ByName && a.bans.has(v.place, name, prefix, r.URL.Path, now) {
		return kicked
	}
	var key string
	most, toomuch := 0, uncounted
	if a.Limit != nil {
		key = a.keyOf(r, v)
		if most = a.Limit(key); most > 0 {
			toomuch = beyond // sessions that are not counted cannot be limited
		}
	}
	if len(name) > maxStreamName {
		return toomuch
	}
	st := a.useStream(name, prefix)
	sh.Lock()
	if s := sh.find(v.id, name, r.URL.Path); s != nil { // another request of the same viewer was faster
		defer sh.Unlock()
		a.dropStream(st)
		return a.readmit(s, told, w, now)
	}
	s := a.widen(sh, v.id, st)
	if s != nil {
		defer sh.Unlock()
		return a.readmit(s, told, w, now)
	}
	if sh.count(v.id) >= maxStreams {
		sh.Unlock()
		a.dropStream(st)
		return toomuch
	}
	if s = a.add(sh, v, told, st, now); s == nil {
		sh.Unlock()
		a.dropStream(st)
		return uncounted
	}
	if v.by != ByName && a.bans.has(v.place, name, prefix, r.URL.Path, now) { // since a moment ago: hooks take their time
		a.remove(sh, s)
		sh.Unlock()
		return kicked
	}
	var victim *session
	reload, ok := false, true
	if most > 0 {
		if victim, reload, ok = a.hold(s, key, most, now); !ok {
			a.remove(sh, s)
			sh.Unlock()
			return beyond
		}
	}
	s.enter(w, now, told)
	sh.Unlock()
	if victim != nil {
		a.replace(victim, reload)
	}
	return admitted
}

// widen moves a session to the stream that is known now, if its first playlist lay below that stream. The caller holds the
// shard.
func (a *Audience) widen(sh *shard, who id, st *stream) *session {
	if st.prefix == "" {
		return nil
	}
	for s := sh.byID[who]; s != nil; s = s.next {
		if len(s.stream.prefix) > len(st.prefix) && s.stream.prefix[:len(st.prefix)] == st.prefix {
			old := s.stream
			st.target.CompareAndSwap(0, old.target.Load())
			s.stream, s.variant = st, ""
			a.dropStream(old)
			return s
		}
	}
	return nil
}

func (a *Audience) keyOf(r *http.Request, v *viewer) string {
	switch {
	case a.Key != nil:
		return a.Key(r)
	case v.by == ByName:
		return v.name
	}
	return v.network().String()
}

// hold counts a new session for its key. Beyond the limit it may replace another: the same viewer's last one, if its page or
// player was loaded again, or, with Replace, the oldest.
func (a *Audience) hold(s *session, key string, most int, now int64) (victim *session, reload, ok bool) {
	k := maphash.String(a.seed, key)
	in := &a.holders[k%shardCount]
	in.Lock()
	defer in.Unlock()
	h := in.byKey[k]
	if h == nil {
		h = &holder{in: in, key: k}
	}
	if h.n >= most {
		if h.isGone(s.id, now) {
			return nil, false, false
		}
		victim, reload = h.last(s), true
		if victim == nil {
			victim, reload = h.oldest, false
			if !a.Replace {
				return nil, false, false
			}
		} else {
			h.gone = append(h.gone, gone{victim.id, now})
		}
		a.unlink(victim)
	}
	if in.byKey == nil {
		in.byKey = map[uint64]*holder{}
	}
	in.byKey[k] = h
	s.holder, s.held = h, true
	if s.older = h.newest; s.older != nil {
		s.older.newer = s
	} else {
		h.oldest = s
	}
	h.newest = s
	h.n++
	return victim, reload, true
}

// isGone reports whether a session was replaced, and has not been silent for a minute since.
func (h *holder) isGone(who id, now int64) bool {
	h.gone = slices.DeleteFunc(h.gone, func(g gone) bool { return now-g.at >= int64(kickedRest) })
	i := slices.IndexFunc(h.gone, func(g gone) bool { return g.id == who })
	if i >= 0 {
		h.gone[i].at = now
	}
	return i >= 0
}

// last is an earlier session of the same player without a current request: one from the same place, whose page was loaded
// again, or one with the same session id, whose address has changed.
func (h *holder) last(s *session) *session {
	if s.by != ByCMCD || len(h.gone) >= mostGone {
		return nil
	}
	o := h.newest
	for range mostSeen {
		if o == nil {
			return nil
		}
		if o.by == ByCMCD && (o.place == s.place || o.name == s.name) && o.active.Load() == 0 {
			return o
		}
		o = o.older
	}
	return nil
}

// unlink removes a session from its key, whose lock the caller holds.
func (a *Audience) unlink(s *session) {
	h := s.holder
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		h.oldest = s.newer
	}
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		h.newest = s.older
	}
	s.older, s.newer, s.held = nil, nil, false
	switch h.n--; {
	case h.n > 0 || h.resting:
	case len(h.gone) > 0: // or a session that is refused by next would make all forgotten
		h.resting = true
		h.in.atRest = append(h.in.atRest, h)
		a.resting.Add(1)
	default:
		delete(h.in.byKey, h.key)
	}
}

// sweepHolders forgets the keys without sessions and without a recent gone.
func (a *Audience) sweepHolders(now int64) {
	if a.resting.Load() == 0 {
		return
	}
	for i := range a.holders {
		in := &a.holders[i]
		in.Lock()
		before := len(in.atRest)
		in.atRest = slices.DeleteFunc(in.atRest, func(h *holder) bool {
			if h.n == 0 && slices.ContainsFunc(h.gone, func(g gone) bool { return now-g.at < int64(kickedRest) }) {
				return false
			}
			if h.resting = false; h.n == 0 {
				delete(in.byKey, h.key)
			}
			return true
		})
		a.resting.Add(int32(len(in.atRest) - before))
		in.Unlock()
	}
}

// unhold removes an ended session from its key. The caller holds its shard, so the next session finds the place free.
func (a *Audience) unhold(s *session) {
	if s.holder == nil {
		return
	}
	s.holder.in.Lock()
	defer s.holder.in.Unlock()
	if s.held {
		a.unlink(s)
	}
}

// replace ends a session whose place another has taken. One that was only loaded again does not come back.
func (a *Audience) replace(s *session, reload bool) {
	sh := a.shardOf(s.id)
	sh.Lock()
	here := sh.byID[s.id]
	for here != nil && here != s {
		here = here.next
	}
	if here == nil || s.out {
		sh.Unlock()
		return
	}
	told := a.expel(s)
	if reload && s.active.Load() == 0 {
		a.remove(sh, s)
	}
	sh.Unlock()
	a.ended(s, told, Replaced)
}
