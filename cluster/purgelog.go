package cluster

import (
	"context"
	"slices"

	"github.com/valkey-io/valkey-go"
)

// logLength is about how many purges the engine remembers.
const logLength = 1000

func (d *ValkeyDirectory) log(ctx context.Context, p purge) error {
	c := d.usable()
	if c == nil {
		return errEngineDown
	}
	ctx, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	return c.Do(ctx, d.logging(c, p)).Error()
}

// logging is the command that writes a purge into the log.
func (d *ValkeyDirectory) logging(c valkey.Client, p purge) valkey.Completed {
	kind := "key"
	if p.prefix {
		kind = "prefix"
	}
	return c.B().Xadd().Key(d.prefix+"purges").Maxlen().Almost().Threshold("1000").Id("*").
		FieldValue().FieldValue("id", p.id).FieldValue(kind, p.text).Build()
}

// logAgain writes purges into a log that was lost, for nodes that had not read it. Those that know a purge ignore it. All are
// sent at once: on a long way to the engine there is no time to wait for each.
func (d *ValkeyDirectory) logAgain(ctx context.Context, c valkey.Client, list []purge) bool {
	if len(list) == 0 {
		return true
	}
	all := make([]valkey.Completed, 0, len(list))
	for _, p := range list {
		all = append(all, d.logging(c, p))
	}
	return !slices.ContainsFunc(c.DoMulti(ctx, all...), func(r valkey.ValkeyResult) bool { return r.Error() != nil })
}

// catchUp reads the log from the last position. Entries that are no longer in it may have purged anything.
func (d *ValkeyDirectory) catchUp(ctx context.Context, c valkey.Client, last string, l listener) {
	d.mu.Lock()
	pos, self := d.pos, d.self
	d.mu.Unlock()
	if pos == "" { // from an earlier start at the same address
		pos, _ = c.Do(ctx, c.B().Hget().Key(d.prefix+"read").Field(self.url).Build()).ToString()
	}
	if last == "" {
		d.reached("0-0")
		return
	}
	if pos == "" {
		pos = "0-0"
	}
	entries, err := c.Do(ctx, c.B().Xrange().Key(d.prefix+"purges").Start(pos).End("+").Build()).AsXRange()
	if err != nil {
		return // next time
	}
	var todo []purge
	cut := len(entries) >= logLength
	for _, e := range entries {
		if e.ID == pos {
			cut = false
			continue
		}
		p := purge{id: e.FieldValues["id"], text: e.FieldValues["key"]}
		if text, ok := e.FieldValues["prefix"]; ok {
			p.text, p.prefix = text, true
		}
		todo = append(todo, p)
	}
	if len(entries) == 0 { // the log has begun again
		d.reached("0-0")
		return
	}
	l.missed(todo, cut)
	d.reached(last)
}

func (d *ValkeyDirectory) reached(pos string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pos = pos
}
