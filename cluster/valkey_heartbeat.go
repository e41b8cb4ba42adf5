package cluster

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

// engine is a directory that needs to know its node.
type engine interface {
	// join says that self is alive until leave is called. It returns after the first try.
	join(self string, l listener)
	// leave withdraws self.
	leave(ctx context.Context) error
	// log records a purge for nodes that cannot be reached now.
	log(ctx context.Context, p purge) error
}

// listener is a node that gets messages from its engine.
type listener interface {
	// read is called with entries of the log. all: there were others that this node has not read. It reports whether they are
	// carried out.
	read(list []logged, all bool) bool
	// lost is what is to be logged again: purges of the last hour that are not in the log, but should be.
	lost(log []logged) []logged
	// pending reports whether there are purges of the last hour, and whether one should have been in the log by now.
	pending() (some, late bool)
	// forget: what the engine said about keys is no longer valid.
	forget()
}

var _ engine = (*ValkeyDirectory)(nil)

func (d *ValkeyDirectory) join(self string, l listener) {
	d.member(self)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	d.stop = func() { cancel(); <-done }
	d.live(ctx, l)
	go func() {
		defer close(done)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.live(ctx, l)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// live is one heartbeat.
func (d *ValkeyDirectory) live(ctx context.Context, l listener) {
	c, err := d.connected()
	if err != nil {
		d.failed(ctx, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, engineMost)
	defer cancel()
	d.mu.Lock()
	self, pos := d.self, d.pos
	d.mu.Unlock()
	r, err := d.beat.Exec(ctx, c, []string{d.prefix + "nodes", d.prefix + "purges", d.prefix + "read", d.prefix + "since"},
		[]string{self.String(), self.url, millis(aliveFor), millis(knownFor), string(pos)}).ToArray()
	if err != nil || len(r) != 5 {
		d.mu.Lock()
		d.down = d.down || ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded
		d.mu.Unlock()
		return
	}
	d.heard.Store(time.Now().UnixNano())
	alive, _ := r[0].AsStrSlice()
	known, _ := r[1].AsStrSlice()
	last, _ := r[2].ToString()
	since, _ := r[3].ToString()
	now, _ := r[4].AsInt64()
	d.mu.Lock()
	emptied := d.known != nil && d.since != since
	anew := emptied || d.known != nil && d.down
	d.since = since
	switch {
	case emptied: // the engine was emptied, and the other nodes are not listed yet
		d.before, d.beforeTill = union(d.known, d.before), time.Now().Add(aliveFor)
	case time.Now().After(d.beforeTill):
		d.before = nil
	}
	d.down, d.alive, d.known = false, urlsOf(alive), urlsOf(known)
	d.mu.Unlock()
	if anew {
		l.forget()
	}
	some, late := l.pending()
	check := some && (anew || time.Since(d.checked) >= checkEvery) || late && time.Since(d.checked) >= lateAfter
	if (check || pos == "" || cmp.Or(position(last), logBegin) != pos) && !time.Now().Before(d.retry) {
		d.catchUp(ctx, c, now, check, l)
	}
}

// connected is the client. It is made if needed.
func (d *ValkeyDirectory) connected() (valkey.Client, error) {
	d.mu.Lock()
	c := d.client
	d.mu.Unlock()
	if c != nil || d.option == nil {
		return c, nil
	}
	c, err := valkey.NewClient(*d.option)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.client = c
	d.mu.Unlock()
	return c, nil
}

// leave ends the heartbeat first: otherwise a heartbeat could follow the withdrawal.
func (d *ValkeyDirectory) leave(ctx context.Context) (err error) {
	if d.stop != nil {
		d.stop()
	}
	c := d.usable()
	d.mu.Lock()
	self := d.self
	d.down = true // otherwise a question would count as a sign of life
	d.mu.Unlock()
	if c == nil {
		err = errEngineDown
	} else {
		ctx, cancel := context.WithTimeout(ctx, engineLimit)
		defer cancel()
		err = c.Do(ctx, c.B().Zrem().Key(d.prefix+"nodes").Member(self.String()).Build()).Error()
	}
	d.mu.Lock()
	c = d.client
	d.mu.Unlock()
	if c != nil && d.option != nil {
		c.Close()
	}
	return err
}

func urlsOf(members []string) []string {
	urls := make([]string, 0, len(members))
	for _, m := range members {
		url, _, _ := strings.Cut(m, "#")
		urls = append(urls, url)
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}
