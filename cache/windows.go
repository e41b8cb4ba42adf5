package cache

import "time"

// windows knows which entries the live playlists name at present. Those are what everybody is about to ask for; what has
// left is asked for by hardly anyone.
type windows struct {
	lists  map[string]*liveList
	naming map[string]int // by the key of a segment: how many lists name it
	swept  time.Time
}

type liveList struct {
	keys map[string]struct{}
	seen time.Time
}

// A list that was not seen again for windowIdle has no viewers.
const (
	windowIdle = time.Minute
	sweepEvery = 10 * time.Second
)

// window says that a live playlist names exactly these segments now; nil: it is not live any more.
func (m *Memory) window(list string, keys map[string]struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, now := &m.windows, time.Now()
	if w.lists == nil {
		w.lists, w.naming = map[string]*liveList{}, map[string]int{}
	}
	old := w.lists[list]
	for key := range keys {
		if old == nil || !old.has(key) {
			w.naming[key]++
			if it := m.policy.items[key]; it != nil {
				m.policy.named(it, w.naming[key])
			}
		}
	}
	if old != nil {
		m.forget(old, keys, keys != nil)
	}
	if keys == nil {
		delete(w.lists, list)
	} else {
		w.lists[list] = &liveList{keys, now}
	}
	if now.Sub(w.swept) >= sweepEvery {
		m.sweep(now)
	}
}

func (l *liveList) has(key string) bool { _, ok := l.keys[key]; return ok }

// forget takes back what a list named, but for what is still in use; over: it has left a window that goes on without it.
func (m *Memory) forget(old *liveList, still map[string]struct{}, over bool) {
	for key := range old.keys {
		if _, ok := still[key]; ok {
			continue
		}
		n := m.windows.naming[key] - 1
		if n > 0 {
			m.windows.naming[key] = n
		} else {
			delete(m.windows.naming, key)
		}
		if it := m.policy.items[key]; it != nil {
			m.policy.named(it, n)
			if n == 0 && over {
				m.policy.leave(it)
			}
		}
	}
}

func (m *Memory) sweep(now time.Time) {
	m.windows.swept = now
	for name, l := range m.windows.lists {
		if now.Sub(l.seen) >= windowIdle {
			m.forget(l, nil, false)
			delete(m.windows.lists, name)
		}
	}
}

// named says how many live playlists name an entry.
func (p *policy) named(it *item, lists int) {
	p.queueOf(it).remove(it)
	it.windows, it.over, it.inMain = int32(lists), false, false
	p.queueOf(it).push(it)
}

// leave puts an entry that no live playlist names among those that go first.
func (p *policy) leave(it *item) {
	p.queueOf(it).remove(it)
	it.over = true
	p.queueOf(it).push(it)
}
