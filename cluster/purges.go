package cluster

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// purge says that what is stored under a key, or under all that begin with a prefix, is of yesterday.
type purge struct {
	id     string
	text   string
	prefix bool
}

func newPurge(text string, prefix bool) purge {
	return purge{id: rand.Text()[:16], text: text, prefix: prefix}
}

func (p purge) is(key string) bool {
	if p.prefix {
		return strings.HasPrefix(key, p.text)
	}
	return key == p.text
}

// purges are those that this node has carried out. It asks others with the last one that concerns a key, and they carry
// that out for the key first if they have not heard of it. So what was purged here does not come back from there.
type purges struct {
	mu   sync.Mutex
	list []dated            // the last ones, in order
	done [2]map[string]bool // IDs, and IDs with a key, in two generations
}

type dated struct {
	purge
	at time.Time
}

const (
	purgeFor   = time.Hour
	mostPurges = 1000
	mostDone   = 1 << 16
)

// begin notes a purge that is about to be carried out: who is asked from now on hears of it.
func (ps *purges) begin(p purge) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	for len(ps.list) > 0 && now.Sub(ps.list[0].at) > purgeFor {
		ps.list = ps.list[1:]
	}
	ps.list = append(ps.list, dated{p, now})
	if len(ps.list) > mostPurges {
		// The older half becomes one that concerns every key.
		half := len(ps.list) / 2
		one := ps.list[half]
		one.text, one.prefix = "", true
		ps.list = append([]dated{one}, ps.list[half+1:]...)
	}
}

// end notes that a purge was carried out: who asks with it need not be told again.
func (ps *purges) end(id string) { ps.note(id) }

// endFor is end for one key alone.
func (ps *purges) endFor(id, key string) { ps.note(id + "\x00" + key) }

// knows tells whether a purge was carried out, at least for a key.
func (ps *purges) knows(id, key string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.has(id) || ps.has(id+"\x00"+key)
}

// of is the ID of the last purge that concerns a key; "" if there is none.
func (ps *purges) of(key string) string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i := len(ps.list) - 1; i >= 0; i-- {
		if ps.list[i].is(key) {
			return ps.list[i].id
		}
	}
	return ""
}

func (ps *purges) has(what string) bool { return ps.done[0][what] || ps.done[1][what] }

func (ps *purges) note(what string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.has(what) {
		return
	}
	if ps.done[0] == nil || len(ps.done[0]) >= mostDone {
		ps.done[1], ps.done[0] = ps.done[0], map[string]bool{}
	}
	ps.done[0][what] = true
}
