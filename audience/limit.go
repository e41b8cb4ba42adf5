package audience

import (
	"slices"
	"sync"
	"sync/atomic"
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

// limits are the holders of all keys.
type limits struct {
	parts   []holders
	resting atomic.Int32 // of all parts
}

// hold counts a new session for its key. k is a hash of that key. Beyond the limit, the session may replace another: the same
// viewer's last one, if its page or player was loaded again, or, with replace, the oldest.
func (l *limits) hold(s *session, k uint64, most int, replace bool, now int64) (victim *session, reload, ok bool) {
	in := &l.parts[k%shardCount]
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
			if !replace {
				return nil, false, false
			}
		} else {
			h.gone = append(h.gone, gone{victim.id, now})
		}
		l.unlink(victim)
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
func (l *limits) unlink(s *session) {
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
		l.resting.Add(1)
	default:
		delete(h.in.byKey, h.key)
	}
}

// sweep forgets the keys without sessions and without a recent gone.
func (l *limits) sweep(now int64) {
	if l.resting.Load() == 0 {
		return
	}
	for i := range l.parts {
		in := &l.parts[i]
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
		l.resting.Add(int32(len(in.atRest) - before))
		in.Unlock()
	}
}

// leave removes an ended session from its key. The caller holds its shard, so the next session finds the place free.
func (l *limits) leave(s *session) {
	if s.holder == nil {
		return
	}
	s.holder.in.Lock()
	defer s.holder.in.Unlock()
	if s.held {
		l.unlink(s)
	}
}
