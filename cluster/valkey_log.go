package cluster

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	logLength  = 1000            // about how many purges the engine remembers
	checkEvery = 5 * time.Second // how often the whole log is read, while there are purges of the last hour
	lateAfter  = time.Second     // how soon a purge must be in the log
	againAfter = 5 * time.Second // until purges that a Store could not carry out are tried again
)

// position is a place in the log: the ID of an entry and, after a space, that of its purge. An engine that has lost the end of
// its log may use IDs of entries again.
type position string

const logBegin position = "0-0"

// before compares places by the IDs of their entries.
func (p position) before(other position) bool {
	ms, n := p.numbers()
	otherMS, otherN := other.numbers()
	return cmp.Or(cmp.Compare(ms, otherMS), cmp.Compare(n, otherN)) < 0
}

func (p position) numbers() (ms, n uint64) {
	a, b, _ := strings.Cut(p.entry(), "-")
	ms, _ = strconv.ParseUint(a, 10, 64)
	n, _ = strconv.ParseUint(b, 10, 64)
	return ms, n
}

// entry is the ID of the entry.
func (p position) entry() string {
	id, _, _ := strings.Cut(string(p), " ")
	return id
}

// logged is an entry of the log.
type logged struct {
	purge
	pos position
	of  []string // IDs of purges that it stands for: a node that has carried out all of them need not carry it out
	had bool     // this node has read it before it was started again
}

// ids are those of the purges that are in the log with this entry.
func (e *logged) ids() []string { return append(e.of[:len(e.of):len(e.of)], e.id) }

func (d *ValkeyDirectory) log(ctx context.Context, p purge) error {
	c := d.usable()
	if c == nil {
		return errEngineDown
	}
	ctx, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	return c.Do(ctx, c.B().Xadd().Key(d.prefix+"purges").Maxlen().Almost().Threshold(strconv.Itoa(logLength)).Id("*").
		FieldValue().FieldValue("id", p.id).FieldValue(p.kind(), p.text).Build()).Error()
}

// kind is the name of the field with the text.
func (p purge) kind() string {
	if p.prefix {
		return "prefix"
	}
	return "key"
}

// logAgain writes purges that are not in the log. All are sent at once: on a long way to the engine there is no time to wait
// for each.
func (d *ValkeyDirectory) logAgain(ctx context.Context, c valkey.Client, list []logged) {
	if len(list) == 0 {
		return
	}
	args := append(make([]string, 0, 1+5*len(list)), strconv.Itoa(logLength))
	for _, e := range list {
		args = append(args, e.id, e.kind(), e.text, e.age(), strings.Join(e.of, " "))
	}
	_ = d.logLost.Exec(ctx, c, []string{d.prefix + "purges"}, args).Error() // if it fails, they are late, and logged again
}

// entries reads the log from an ID on. now is the time of the engine, in milliseconds.
func (d *ValkeyDirectory) entries(ctx context.Context, c valkey.Client, from string, now int64) ([]logged, error) {
	raw, err := c.Do(ctx, c.B().Xrange().Key(d.prefix+"purges").Start(from).End("+").Build()).AsXRange()
	if err != nil {
		return nil, err
	}
	list := make([]logged, 0, len(raw))
	for _, e := range raw {
		v := e.FieldValues
		one := logged{
			purge: purge{id: v["id"], text: v["key"], at: ago(v["age"])},
			pos:   position(e.ID + " " + v["id"]), of: strings.Fields(v["of"]),
		}
		if text, ok := v["prefix"]; ok {
			one.text, one.prefix = text, true
		}
		if ms, _ := one.pos.numbers(); int64(ms) < now {
			one.at = one.at.Add(-time.Duration(now-int64(ms)) * time.Millisecond)
		}
		list = append(list, one)
	}
	return list, nil
}

// catchUp reads the log from the last position or, if whole is set or that position is lost, from the beginning. It then writes
// again what this node knows and the log has lost: after a failover, an engine may lack its last entries.
func (d *ValkeyDirectory) catchUp(ctx context.Context, c valkey.Client, now int64, whole bool, l listener) {
	d.mu.Lock()
	pos, self := d.pos, d.self
	d.mu.Unlock()
	starts := pos == ""
	if starts { // from an earlier start at the same address
		stored, err := c.Do(ctx, c.B().Hget().Key(d.prefix+"read").Field(self.url).Build()).ToString()
		if err != nil && !valkey.IsValkeyNil(err) {
			return // next time
		}
		pos = cmp.Or(position(stored), logBegin)
	}
	var list []logged
	var err error
	if whole = whole || starts || pos == logBegin; !whole {
		list, err = d.entries(ctx, c, pos.entry(), now)
		whole = err == nil && (len(list) == 0 || list[0].pos != pos)
	}
	if whole {
		d.checked = time.Now()
		list, err = d.entries(ctx, c, "-", now)
	}
	if err != nil {
		return // next time
	}
	if starts {
		last := slices.IndexFunc(list, func(e logged) bool { return e.pos == pos })
		for i := range list[:last+1] {
			list[i].had = true
		}
	}
	// A full log has dropped its first entries. If this node had read it that far, it has missed none of them.
	cut := whole && len(list) >= logLength && pos.before(list[0].pos)
	if whole {
		d.logAgain(ctx, c, l.lost(list))
	}
	if !l.read(list, cut) {
		d.retry = time.Now().Add(againAfter)
		return
	}
	pos = logBegin
	if len(list) > 0 {
		pos = list[len(list)-1].pos
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pos = pos
}
