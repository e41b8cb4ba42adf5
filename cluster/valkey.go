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

// ValkeyDirectory is a Directory in Valkey, or in Redis from 7.0 on. It also knows which nodes are alive and what was purged.
// The engine stores no bodies, and no readable URLs other than those of purges.
//
// If the engine says nothing for 200 ms, the last known nodes share the keys by rendezvous hashing. The engine is asked again
// as soon as a heartbeat succeeds. A ValkeyDirectory belongs to one [Node], which starts its heartbeat.
type ValkeyDirectory struct {
	prefix     string
	option     *valkey.ClientOption // to connect with; nil: client was given
	hold, beat *valkey.Lua
	logLost    *valkey.Lua
	gone       gone
	lost       atomic.Uint64 // questions that the engine did not answer
	heard      atomic.Int64  // when it last answered one, in Unix nanoseconds
	stop       func()        // ends the heartbeat
	checked    time.Time     // when the whole log was last read; only the heartbeat uses it
	retry      time.Time     // not before then is the log read: what it says could not be carried out; likewise

	mu     sync.Mutex
	self   member
	client valkey.Client // nil: not connected yet
	down   bool          // the engine did not answer last time
	alive  []string      // URLs from the last heartbeat
	known  []string      // URLs of the last hour that have not left
	before []string      // known, from before the engine lost its data; until beforeTill at least
	pos    position      // how far the log has been read; "": not read

	since string // since when the engine has its data

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

// Valkey returns a Directory that keeps all its data under keys that begin with prefix in braces. Nodes with the same prefix
// are one cluster. The client stays the caller's. Set a short ConnWriteTimeout, such as 1 s, so that a connection that hangs is
// soon given up, and set DisableRetry.
func Valkey(c valkey.Client, prefix string) *ValkeyDirectory {
	return &ValkeyDirectory{
		prefix: "{" + prefix + "}:", client: c,
		hold: valkey.NewLuaScript(holdScript), beat: valkey.NewLuaScript(beatScript),
		logLost: valkey.NewLuaScript(logLostScript),
	}
}

// Connect is Valkey with a client of its own. The engine need not be there yet: Connect retries until it is.
func Connect(o valkey.ClientOption, prefix string) *ValkeyDirectory {
	d := Valkey(nil, prefix)
	o.AlwaysPipelining = true // otherwise a question holds a connection, and waits for it, for longer than its context lasts
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

// Members are the nodes that were alive within the last hour and have not left, as the engine knows them now or knew them last.
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

// nearby are the members as of the last heartbeat; nil: unknown.
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

// Alive reports whether a node has a heartbeat. Without the engine this is unknown, and the result is false.
func (d *ValkeyDirectory) Alive(node string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.down && slices.Contains(d.alive, node)
}

// lasting reports whether the answer of Holder may be remembered.
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
	go func() { // a client that waits for a connection may ignore its context
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

// hearing is a context that ends if the engine does not answer in time. On an overloaded machine answers are late, but they
// come: then the engine does not hang.
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

// without finds a holder without the engine.
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

// usable is the client, if the engine answered last time.
func (d *ValkeyDirectory) usable() valkey.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil
	}
	return d.client
}

// failed records that the engine did not answer. Its error replies (full, loading) do not count.
func (d *ValkeyDirectory) failed(ctx context.Context, err error) {
	if _, said := valkey.IsValkeyErr(err); said || context.Cause(ctx) == context.Canceled {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
