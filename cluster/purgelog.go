package cluster

import (
	"context"

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
	kind := "key"
	if p.prefix {
		kind = "prefix"
	}
	return c.Do(ctx, c.B().Xadd().Key(d.prefix+"purges").Maxlen().Almost().Threshold("1000").Id("*").
		FieldValue().FieldValue("id", p.id).FieldValue(kind, p.text).Build()).Error()
}

// logAgain writes purges into a log that was lost, for nodes that had not read it. Those that know a purge ignore it.
func (d *ValkeyDirectory) logAgain(ctx context.Context, list []purge) bool {
	for _, p := range list {
		if d.log(ctx, p) != nil {
			return false
		}
	}
	return true
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
