package audience

import (
	"hash/maphash"
	"net/http"
	"sync"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

// holder is what a key holds: its sessions, the oldest first.
type holder struct {
	in             *holders
	key            id
	n              int
	oldest, newest *session
}

// holders are those of some keys. Below a shard in the order of locks.
type holders struct {
	sync.Mutex
	byKey map[id]*holder
}

type verdict uint8

const (
	uncounted verdict = iota // there is no room, or the viewer is at too much at once
	admitted
	beyond // the limit
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

// readmit lets a session go on. The caller holds its shard.
func (a *Audience) readmit(s *session, told *cmcd.Data, w *writer, now int64) verdict {
	if s.out {
		s.last = now
		return kicked
	}
	s.enter(w, now, told)
	return admitted
}

func (a *Audience) begin(sh *shard, r *http.Request, v *viewer, told *cmcd.Data, name string, w *writer, now int64) verdict {
	var key string
	most := 0
	if a.Limit != nil {
		key = a.keyOf(r, v)
		most = a.Limit(key)
	}
	prefix := ""
	if a.Stream == nil {
		name = directoryOf(r.URL.Path)
		prefix = name
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
	s = a.add(sh, v, told, st, now)
	if s == nil {
		sh.Unlock()
		a.dropStream(st)
		return uncounted
	}
	var victim *session
	reload, ok := false, true
	if most > 0 {
		if victim, reload, ok = a.hold(s, key, most); !ok {
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

// widen gives a session whose first playlist lay below the stream that is known now to that stream. The caller holds the
// shard.
func (a *Audience) widen(sh *shard, who id, st *stream) *session {
	if st.prefix == "" {
		return nil
	}
	for s := sh.byID[who]; s != nil; s = s.next {
		if !s.out && len(s.stream.prefix) > len(st.prefix) && s.stream.prefix[:len(st.prefix)] == st.prefix {
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

// hold counts a new session for its key. Beyond the limit there may be one that goes instead: the same viewer's last one,
// whose page or player was loaded again, or, where sessions are replaced, the oldest.
func (a *Audience) hold(s *session, key string, most int) (victim *session, reload, ok bool) {
	k := id{maphash.String(a.seeds[0], key), maphash.String(a.seeds[1], key)}
	in := &a.holders[k[1]%shardCount]
	in.Lock()
	defer in.Unlock()
	h := in.byKey[k]
	if h == nil {
		h = &holder{in: in, key: k}
	}
	if h.n >= most {
		victim, reload = h.last(s), true
		if victim == nil {
			victim, reload = h.oldest, false
			if !a.Replace {
				return nil, false, false
			}
		}
		h.unlink(victim)
	}
	if in.byKey == nil {
		in.byKey = map[id]*holder{}
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

// last is the session of the same place and stream as s that asks for nothing now.
func (h *holder) last(s *session) *session {
	for o := h.newest; o != nil; o = o.older {
		if o.by == ByCMCD && s.by == ByCMCD && o.place == s.place && o.active.Load() == 0 {
			return o
		}
	}
	return nil
}

func (h *holder) unlink(s *session) {
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
	if h.n--; h.n == 0 {
		delete(h.in.byKey, h.key)
	}
}

// unhold takes a session that has ended from its key.
func (a *Audience) unhold(s *session) {
	if s.holder == nil {
		return
	}
	s.holder.in.Lock()
	defer s.holder.in.Unlock()
	if s.held {
		s.holder.unlink(s)
	}
}

// replace ends a session that another has taken the place of. One that was only loaded again will not come back.
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
