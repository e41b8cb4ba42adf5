package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
)

// ValkeyDirectory is a Directory in Valkey, or Redis from 7.0 on. It also knows which nodes are alive and what was purged.
// The engine carries no bodies and no URLs that can be read back, but for those of purges.
//
// While the engine says nothing for 200 ms, the nodes that were last known share the keys by rendezvous hashing; it
// is asked again as soon as a heartbeat succeeds. One ValkeyDirectory is for one [Node], which starts its heartbeat.
type ValkeyDirectory struct {
	prefix     string
	option     *valkey.ClientOption // to connect with; nil: client was given
	hold, beat *valkey.Lua
	gone       gone
	lost       atomic.Uint64 // questions that the engine did not answer
	heard      atomic.Int64  // when it last answered one, in Unix nanoseconds
	stop       func()        // ends the heartbeat

	mu     sync.Mutex
	self   member
	client valkey.Client // nil: not connected yet
	down   bool          // the last word from the engine was none
	alive  []string      // URLs, as the last heartbeat found them
	known  []string      // those of the last hour, who have not left
	before []string      // what known was before the engine forgot us; at least until beforeTill
	pos    string        // how far the log has been read; "": not at all

	since string // when the engine began to know all this

	beforeTill time.Time
}

// member is a node as the engine knows it.
type member struct{ url, start string }

func (m member) String() string { return m.url + "#" + m.start }

const (
	beatEvery   = 300 * time.Millisecond
	aliveFor    = 1500 * time.Millisecond
	knownFor    = time.Hour
	keptFor     = 10 * time.Minute
	engineLimit = 200 * time.Millisecond // how long the engine may say nothing at all
	engineMost  = time.Second            // how long it may take for one question while it answers others
)

var errEngineDown = errors.New("cluster: the engine is not there")

// Valkey returns a Directory that keeps all that it has under keys that begin with prefix in braces; what shares a prefix
// is one cluster. The client stays the caller's. Its ConnWriteTimeout should be short, such as 1 s, so that a connection
// that hangs is given up soon, and DisableRetry be set.
func Valkey(c valkey.Client, prefix string) *ValkeyDirectory {
	return &ValkeyDirectory{
		prefix: "{" + prefix + "}:", client: c,
		hold: valkey.NewLuaScript(holdScript), beat: valkey.NewLuaScript(beatScript),
	}
}

// Connect is Valkey with a client of its own, for an engine that need not be there yet: it is tried again until it is.
func Connect(o valkey.ClientOption, prefix string) *ValkeyDirectory {
	d := Valkey(nil, prefix)
	o.AlwaysPipelining = true // or a question would hold a connection, and be held up by it, for longer than its context lasts
	o.DisableRetry, o.ForceSingleClient = true, o.ForceSingleClient || len(o.InitAddress) == 1 && o.Sentinel.MasterSet == ""
	if o.ConnWriteTimeout == 0 {
		o.ConnWriteTimeout = time.Second
	}
	if o.Dialer.Timeout == 0 {
		o.Dialer.Timeout = 500 * time.Millisecond
	}
	d.option = &o
	return d
}

// Holder is that of [Directory].
func (d *ValkeyDirectory) Holder(ctx context.Context, key, self string) (string, error) {
	return d.find(ctx, key, "", self)
}

// Take is that of [Directory].
func (d *ValkeyDirectory) Take(ctx context.Context, key, gone, self string) (string, error) {
	d.gone.add(gone, goneFor)
	return d.find(ctx, key, gone, self)
}

// Members are the nodes that were alive within the last hour and have not left, as the engine knows them, or as it last
// did.
func (d *ValkeyDirectory) Members(ctx context.Context) ([]string, error) {
	if c := d.usable(); c != nil {
		ctx, cancel := context.WithTimeout(ctx, engineLimit)
		defer cancel()
		list, err := c.Do(ctx, c.B().Zrange().Key(d.prefix+"nodes").Min("0").Max("-1").Build()).AsStrSlice()
		if err == nil {
			return union(urlsOf(list), d.nearby()), nil
		}
		d.failed(ctx, err)
	}
	if list := d.nearby(); list != nil {
		return list, nil
	}
	return nil, errEngineDown
}

// nearby are the members as they were up to a heartbeat ago; nil: nobody knows.
func (d *ValkeyDirectory) nearby() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before == nil {
		return d.known
	}
	return union(d.known, d.before)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Alive tells whether a node has a heartbeat. While the engine is not there, nobody knows.
func (d *ValkeyDirectory) Alive(node string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.down && slices.Contains(d.alive, node)
}

// lasting tells whether what Holder says may be remembered.
func (d *ValkeyDirectory) lasting() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.down
}

func (d *ValkeyDirectory) find(ctx context.Context, key, gone, self string) (string, error) {
	c := d.usable()
	if c == nil {
		d.lost.Add(1)
		return d.without(key, self)
	}
	ctx, end := d.hearing(ctx)
	defer end()
	sum := digestOf(key)
	type result struct {
		holder string
		err    error
	}
	came := make(chan result, 1)
	go func() { // a client that waits for a connection may not heed its context
		holder, err := d.hold.Exec(ctx, c, []string{d.prefix + "k:" + base64.RawURLEncoding.EncodeToString(sum[:]), d.prefix + "nodes"},
			[]string{d.member(self).String(), millis(aliveFor), millis(keptFor), gone}).ToString()
		came <- result{holder, err}
	}()
	var holder string
	var err error
	select {
	case r := <-came:
		holder, err = r.holder, r.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		d.lost.Add(1)
		d.failed(ctx, err)
		return d.without(key, self)
	}
	d.heard.Store(time.Now().UnixNano())
	url, _, _ := strings.Cut(holder, "#")
	return url, nil
}

// hearing is a context that ends when the engine does not answer in time. On a machine that is overloaded, answers come late
// but they come: then it is not the engine that hangs.
func (d *ValkeyDirectory) hearing(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeoutCause(ctx, engineMost, errEngineDown)
	ctx, lose := context.WithCancelCause(ctx)
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(engineLimit, func() {
		mu.Lock()
		defer mu.Unlock()
		if quiet := time.Since(time.Unix(0, d.heard.Load())); quiet < engineLimit {
			timer.Reset(engineLimit - quiet)
			return
		}
		lose(errEngineDown)
	})
	return ctx, func() { timer.Stop(); lose(nil); cancel() }
}

// without finds a holder while there is no engine.
func (d *ValkeyDirectory) without(key, self string) (string, error) {
	list := d.nearby()
	if len(list) == 0 {
		return "", errEngineDown
	}
	return best(key, list, d.gone.has, self), nil
}

func (d *ValkeyDirectory) member(self string) member {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.self.url != self {
		d.self = member{self, rand.Text()[:8]}
	}
	return d.self
}

// usable is the client, if the engine was there when it was last asked.
func (d *ValkeyDirectory) usable() valkey.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil
	}
	return d.client
}

// failed notes that the engine did not answer; what it says (that it is full, that it is loading) is not that.
func (d *ValkeyDirectory) failed(ctx context.Context, err error) {
	if _, said := valkey.IsValkeyErr(err); said || context.Cause(ctx) == context.Canceled {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
