package audience

import (
	"cmp"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

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

// begin begins a session, unless another request of the viewer was faster.
func (a *Audience) begin(sh *shard, r *http.Request, v *viewer, told *cmcd.Data, name string, w *writer, now int64) verdict {
	v.locate(a, r)
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
	st := a.streams.use(name, prefix)
	sh.Lock()
	if s := sh.find(v.id, name, r.URL.Path); s != nil { // another request of the same viewer was faster
		defer sh.Unlock()
		a.streams.drop(st)
		return a.readmit(s, told, w, now)
	}
	s := sh.widen(v.id, st, &a.streams)
	if s != nil {
		defer sh.Unlock()
		return a.readmit(s, told, w, now)
	}
	if sh.count(v.id) >= maxStreams {
		sh.Unlock()
		a.streams.drop(st)
		return toomuch
	}
	if s = a.add(sh, v, told, st, now); s == nil {
		sh.Unlock()
		a.streams.drop(st)
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
		if victim, reload, ok = a.limits.hold(s, maphash.String(a.seed, key), most, a.Replace, now); !ok {
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

func (a *Audience) keyOf(r *http.Request, v *viewer) string {
	switch {
	case a.Key != nil:
		return a.Key(r)
	case v.by == ByName:
		return v.name
	}
	return v.network().String()
}

func (a *Audience) shardOf(who id) *shard { return &a.shards[who%shardCount] }

// add adds a new session of v, which is located, to its shard. Nil: there is no room. The caller holds the shard.
func (a *Audience) add(sh *shard, v *viewer, told *cmcd.Data, st *stream, now int64) *session {
	if most := a.sessions(); a.live.Add(1) > most && most >= 0 {
		a.live.Add(-1)
		return nil
	}
	s := &session{id: v.id, serial: a.serial.Add(1), by: v.by, addr: v.network(), place: v.place, since: now, stream: st, next: sh.byID[v.id]}
	switch v.by {
	case ByName:
		s.name = shown(v.name, maxName)
	case ByCMCD:
		s.name = shown(told.Session.String(), maxName)
	}
	if sh.byID == nil {
		sh.byID = map[id]*session{}
	}
	sh.byID[v.id] = s
	a.startTimer()
	return s
}

func (a *Audience) sessions() int64 { return int64(cmp.Or(a.Sessions, defaultSessions)) }

// remove removes s from its shard, whose lock the caller holds, and from its key.
func (a *Audience) remove(sh *shard, s *session) {
	first := sh.byID[s.id]
	switch {
	case first == s && s.next == nil:
		delete(sh.byID, s.id)
	case first == s:
		sh.byID[s.id] = s.next
	default:
		for first.next != s {
			first = first.next
		}
		first.next = s.next
	}
	s.next = nil
	a.live.Add(-1)
	a.streams.drop(s.stream)
	a.limits.leave(s)
}

// expel ends s and keeps it, so that it does not come back. The caller holds the shard, and calls ended after it has released
// it.
func (a *Audience) expel(s *session) Session {
	s.out = true
	for w := s.writers; w != nil; w = w.next {
		w.breakOff()
	}
	return s.public()
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

// start reports the beginning of a session, and its end if it has ended meanwhile.
func (a *Audience) start(s *session, told Session) {
	defer func() {
		sh := a.shardOf(s.id)
		sh.Lock()
		end := s.end
		s.telling, s.end = false, nil
		sh.Unlock()
		if end != nil {
			event(end)
		}
	}()
	event(func() { a.OnStart(told) })
}

// ended reports the end of a session, after OnStart has returned. The caller holds no lock.
func (a *Audience) ended(s *session, told Session, why End) {
	if a.OnEnd == nil || !s.begun.Load() {
		return
	}
	end := func() { a.OnEnd(told, why) }
	sh := a.shardOf(s.id)
	sh.Lock()
	later := s.telling
	if later {
		s.end = end
	}
	sh.Unlock()
	if !later {
		event(end)
	}
}

// idle is how long a session may be silent.
func (a *Audience) idle(s *session) time.Duration {
	switch target := time.Duration(s.stream.target.Load()); {
	case s.out:
		return kickedRest
	case a.Idle != 0:
		return a.Idle
	case target == 0:
		return unknownIdle
	default:
		return min(max(3*target, minIdle), maxIdle)
	}
}

// sweep ends the sessions that have been silent for too long.
func (a *Audience) sweep(now int64) {
	type end struct {
		s    *session
		told Session
	}
	var ends []end
	for i := range a.shards {
		sh := &a.shards[i]
		sh.Lock()
		var gone []*session
		for _, s := range sh.byID {
			for ; s != nil; s = s.next {
				if s.active.Load() > 0 {
					s.last = max(s.last, now)
				} else if idle := a.idle(s); idle >= 0 && now-s.last >= int64(idle) {
					gone = append(gone, s)
				}
			}
		}
		for _, s := range gone {
			if !s.out {
				ends = append(ends, end{s, s.public()})
			}
			a.remove(sh, s)
		}
		sh.Unlock()
	}
	a.bans.sweep(now)
	a.limits.sweep(now)
	for _, e := range ends {
		a.ended(e.s, e.told, Silent)
	}
}

// startTimer sweeps regularly while there are sessions.
func (a *Audience) startTimer() {
	a.timer.Lock()
	defer a.timer.Unlock()
	if !a.timer.running {
		a.timer.running = true
		time.AfterFunc(tick, a.onTick)
	}
}

func (a *Audience) onTick() {
	a.sweep(a.clock())
	a.timer.Lock()
	defer a.timer.Unlock()
	if a.timer.running = a.live.Load() > 0 || a.bans.n.Load() > 0 || a.limits.resting.Load() > 0; a.timer.running {
		time.AfterFunc(tick, a.onTick)
	}
}
