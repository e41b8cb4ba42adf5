package cluster

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// purge says that everything stored under a key, or under all keys with a prefix, is out of date.
type purge struct {
	id     string
	text   string
	prefix bool
}

// String is a purge in the form of a field.
func (p purge) String() string {
	return url.Values{"id": {p.id}, "text": {p.text}, "prefix": {strconv.FormatBool(p.prefix)}}.Encode()
}

// purgeIn reads what String has written.
func purgeIn(s string) (p purge, ok bool) {
	v, err := url.ParseQuery(s)
	p = purge{id: v.Get("id"), text: v.Get("text"), prefix: v.Get("prefix") == "true"}
	return p, err == nil && p.id != "" && len(p.id) <= mostID
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

// purges are those that this node has carried out. Its requests to other nodes carry the last purge that covers the key, and
// these carry it out first if they do not know it. So a purged entry does not come back from another node.
type purges struct {
	mu   sync.Mutex
	list []dated            // the last ones, in order
	done [2]map[string]bool // IDs, in two generations
}

type dated struct {
	purge
	at   time.Time
	mine bool // this node was asked for it
}

const (
	purgeFor   = time.Hour
	mostPurges = 1000
	mostDone   = 1 << 16
	mostID     = 64 // bytes
)

// begin records a purge that is about to be carried out: requests to other nodes carry it from now on. mine: this node was asked
// for it, and nobody else logs it.
func (ps *purges) begin(p purge, mine bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	for len(ps.list) > 0 && now.Sub(ps.list[0].at) > purgeFor {
		ps.list = ps.list[1:]
	}
	ps.list = append(ps.list, dated{p, now, mine})
	if len(ps.list) > mostPurges {
		// The older half becomes one purge that covers every key.
		half := len(ps.list) / 2
		one := ps.list[half]
		one.text, one.prefix = "", true
		one.mine = slices.ContainsFunc(ps.list[:half+1], func(d dated) bool { return d.mine })
		ps.list = append([]dated{one}, ps.list[half+1:]...)
	}
}

// made are the purges of the last hour that this node was asked for.
func (ps *purges) made() (list []purge) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, d := range ps.list {
		if d.mine && time.Since(d.at) <= purgeFor {
			list = append(list, d.purge)
		}
	}
	return list
}

// end records that a purge was carried out: a request that carries it does not repeat it.
func (ps *purges) end(id string) { ps.note(id) }

// knows reports whether a purge was carried out.
func (ps *purges) knows(id string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.has(id)
}

// of is the last purge that covers a key.
func (ps *purges) of(key string) (p purge, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i := len(ps.list) - 1; i >= 0; i-- {
		if ps.list[i].is(key) {
			return ps.list[i].purge, true
		}
	}
	return purge{}, false
}

func (ps *purges) has(id string) bool { return ps.done[0][id] || ps.done[1][id] }

func (ps *purges) note(id string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.has(id) {
		return
	}
	if ps.done[0] == nil || len(ps.done[0]) >= mostDone {
		ps.done[1], ps.done[0] = ps.done[0], map[string]bool{}
	}
	ps.done[0][id] = true
}
