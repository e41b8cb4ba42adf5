package cluster

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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
	at     time.Time // when it was made. Nodes tell each other its age, so that their clocks need not agree
}

// String is a purge in the form of a field.
func (p purge) String() string {
	return url.Values{"id": {p.id}, "text": {p.text}, "prefix": {strconv.FormatBool(p.prefix)}, "age": {p.age()}}.Encode()
}

func (p purge) age() string { return millis(time.Since(p.at)) }

// purgeIn reads what String has written.
func purgeIn(s string) (p purge, ok bool) {
	v, err := url.ParseQuery(s)
	p = purge{id: v.Get("id"), text: v.Get("text"), prefix: v.Get("prefix") == "true", at: ago(v.Get("age"))}
	return p, err == nil && p.id != "" && len(p.id) <= mostID
}

// ago is when a purge of this age, in milliseconds, was made.
func ago(age string) time.Time {
	ms, _ := strconv.ParseInt(age, 10, 64)
	return time.Now().Add(-time.Duration(min(max(ms, 0), 2*purgeFor.Milliseconds())) * time.Millisecond)
}

func newPurge(text string, prefix bool) purge {
	return purge{id: rand.Text()[:16], text: text, prefix: prefix, at: time.Now()}
}

func (p purge) is(key string) bool {
	if p.prefix {
		return strings.HasPrefix(key, p.text)
	}
	return key == p.text
}

// covers reports whether a node that has carried out p need not carry out earlier.
func (p purge) covers(earlier purge) bool {
	return p.is(earlier.text) && (p.prefix || !earlier.prefix) && p.at.After(earlier.at)
}

// purges are those that this node has carried out. Its requests to other nodes carry the last purge that covers the key, and
// these carry it out first if they do not know it. So a purged entry does not come back from another node.
type purges struct {
	mu   sync.Mutex
	list []*known           // those of the last hour that no later one covers, in the order in which they were made
	done [2]map[string]bool // IDs, in two generations
}

type known struct {
	purge
	heard time.Time
	pos   position // in the log of the engine; "": not seen there
}

const (
	purgeFor   = time.Hour
	mostPurges = 4096
	mostDone   = 1 << 16
	mostID     = 64             // bytes
	mostAgain  = logLength / 10 // purges that a node logs again one by one
)

// begin records a purge that is about to be carried out: requests to other nodes carry it from now on.
func (ps *purges) begin(p purge) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	ps.expire(now)
	if slices.ContainsFunc(ps.list, func(k *known) bool { return k.id == p.id || k.covers(p) }) {
		return
	}
	ps.list = slices.DeleteFunc(ps.list, func(k *known) bool { return p.covers(k.purge) })
	i := len(ps.list)
	for i > 0 && ps.list[i-1].at.After(p.at) {
		i--
	}
	ps.list = slices.Insert(ps.list, i, &known{purge: p, heard: now})
	if len(ps.list) > mostPurges {
		// The older half becomes one purge that covers every key. Its ID is new: a node that knows one of them may have missed
		// another.
		half := ps.list[:len(ps.list)/2]
		one := &known{purge: newPurge("", true), heard: now}
		one.at = half[len(half)-1].at
		for _, k := range half {
			one.pos = cmp.Or(k.pos, one.pos)
		}
		ps.list = append([]*known{one}, ps.list[len(half):]...)
		ps.noteLocked(one.id)
	}
}

func (ps *purges) expire(now time.Time) {
	old := 0
	for old < len(ps.list) && now.Sub(ps.list[old].at) > purgeFor {
		old++
	}
	ps.list = slices.Delete(ps.list, 0, old)
}

// placesOf are the places of purges in a log, by their IDs.
func placesOf(log []logged) map[string]position {
	at := make(map[string]position, len(log))
	for _, e := range log {
		for _, id := range e.ids() {
			at[id] = e.pos
		}
	}
	return at
}

// saw records where purges are in the log.
func (ps *purges) saw(list []logged) {
	at := placesOf(list)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, k := range ps.list {
		k.pos = cmp.Or(at[k.id], k.pos)
	}
}

// lost is what is to be logged again: the purges that should be in the log, which is given as a whole, but are not. What a full
// log has dropped is not lost: a node that has not read it notices that. Of many, the older ones become one entry. Otherwise
// they would drive others out of the log, and nodes that have not read those yet would forget everything.
func (ps *purges) lost(log []logged) (list []logged) {
	at := placesOf(log)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.expire(time.Now())
	for _, k := range ps.list {
		if _, there := at[k.id]; !there && (len(log) < logLength || k.pos == "" || !k.pos.before(log[0].pos)) {
			k.pos = ""
			list = append(list, logged{purge: k.purge})
		}
	}
	if more := len(list) - mostAgain; more > 0 {
		list = append([]logged{standFor(list[:more])}, list[more:]...)
	}
	return list
}

// standFor is one purge of everything in place of many.
func standFor(many []logged) logged {
	one := logged{purge: purge{prefix: true, at: many[len(many)-1].at}}
	for _, e := range many {
		one.of = append(one.of, e.id)
	}
	slices.Sort(one.of)
	sum := sha256.Sum256([]byte(strings.Join(one.of, " "))) // other nodes log the same
	one.id = hex.EncodeToString(sum[:8])
	return one
}

// pending reports whether there are purges of the last hour, and whether one should have been in the log by now.
func (ps *purges) pending() (some, late bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	ps.expire(now)
	for _, k := range ps.list {
		late = late || k.pos == "" && now.Sub(k.heard) > lateAfter
	}
	return len(ps.list) > 0, late
}

// end records that a purge was carried out: a request that carries it does not repeat it.
func (ps *purges) end(id string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.noteLocked(id)
}

// knows reports whether a purge was carried out.
func (ps *purges) knows(id string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.has(id)
}

// knowsAllOf reports whether an entry of the log says nothing new.
func (ps *purges) knowsAllOf(e logged) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.has(e.id) || len(e.of) > 0 && !slices.ContainsFunc(e.of, func(id string) bool { return !ps.has(id) })
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

func (ps *purges) noteLocked(id string) {
	if ps.has(id) {
		return
	}
	if ps.done[0] == nil || len(ps.done[0]) >= mostDone {
		ps.done[1], ps.done[0] = ps.done[0], map[string]bool{}
	}
	ps.done[0][id] = true
}
