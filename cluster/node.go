// Package cluster makes several nodes one cache: for each key one of them asks the origin, and the others read its answer
// along while it comes.
//
//	node, err := cluster.New(cluster.Config{
//		Self:      "http://10.0.0.1:9000", // where other nodes reach this one
//		Directory: cluster.Connect(valkey.ClientOption{InitAddress: []string{"10.0.0.9:6379"}}, "hls"),
//		Base:      guard.Transport(),
//		Cache:     &cache.Transport{Store: cache.NewMemory(8 << 30)},
//		Secret:    secret, // 16 bytes or more, the same on all nodes
//	})
//	if err != nil {
//		return err
//	}
//	go http.ListenAndServe("10.0.0.1:9000", node.Handler())
//	proxy := &origin.Proxy{Upstream: tree.Upstream, Transport: node}
//
// A [Node] stands where a [cache.Transport] stood. It has two of them over one store: the edge answers viewers, the parent
// answers nodes and asks the origin. When the edge does not have something, a [Directory] says which node holds it, and
// that node's parent is asked over HTTP. A parent never asks another node, so requests cannot go in circles.
//
// What the directory says is a hint, not a lock. When a node dies, hangs or cannot be reached, another takes its place; when
// the directory fails, nodes agree by hashing, and in the end each asks the origin itself. No viewer fails because one of
// these does.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
)

// Config is what a [Node] is made of.
type Config struct {
	// Self is where other nodes reach Handler: http://HOST:PORT or the same with https, without a path. Required, and
	// different for each node. It is what the Directory calls this node.
	Self string
	// Directory says which node asks the origin for a key. Required.
	Directory Directory
	// Base asks the origin: a pool over a guarded transport. It sees the requests of this node's viewers and of other nodes
	// alike; which addresses it may reach is its decision. Nil: http.DefaultTransport, which no guard keeps from anything.
	Base http.RoundTripper
	// Cache is the pattern of both tiers: its Store, TTL, Key and limits are used, itself is not, and its Base must be nil.
	// All nodes must agree on Key. Nil: the zero Transport, which keeps nothing.
	Cache *cache.Transport
	// Secret is what all nodes share, of 16 bytes or more. Requests between nodes carry an HMAC by it, which holds for 30 s,
	// for one receiver, and once. Clocks of nodes may differ by that much.
	Secret []byte
	// Silence is how long another node may send nothing, neither a header nor a byte nor a sign of life, before the next
	// one is asked. 0: 1 s.
	Silence time.Duration
	// Patience is how long the origin may leave a node without a header before another node tries it, too: perhaps only the
	// way between these two is broken. 0: 4 s. Negative: for ever. A blocking playlist reload may take 30 s.
	Patience time.Duration
	// Transport carries requests to other nodes. Nil: one that dials within 500 ms.
	Transport http.RoundTripper
	// OnFailure is told what only the operator can mend: refused proofs, a log of purges that cannot be written. Called
	// concurrently. Nil: package log is.
	OnFailure func(error)
}

// Node is an http.RoundTripper that shares what it fetches with other nodes. Its methods may be called concurrently.
type Node struct {
	self      string
	directory Directory
	base      http.RoundTripper
	edge      *cache.Transport
	parent    *cache.Transport
	key       func(*http.Request) string
	keeper    *proof.Keeper
	client    http.RoundTripper
	own       *http.Transport // client, if it is not the caller's
	silence   time.Duration
	patience  time.Duration
	onFailure func(error)

	ctx    context.Context // ends with Leave
	cancel context.CancelFunc

	near   near
	far    gone // nodes and origins between which the way is broken
	peers  peers
	purges purges
	count  counters

	heeding sync.Mutex
	trying  atomic.Int32 // purges that are tried again
	leaving atomic.Bool
	serving sync.WaitGroup // requests of other nodes
	serveMu sync.Mutex     // guards the step from the one to the other
	told    atomic.Int64   // when OnFailure was last told of a refused proof
}

const (
	defaultSilence  = time.Second
	defaultPatience = 4 * time.Second
	leastSecret     = 16
)

// New makes a Node, or reports all that is wrong with c. With a [ValkeyDirectory] the node counts as alive from now on,
// until Leave.
func New(c Config) (*Node, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &Node{
		self: c.Self, directory: c.Directory, base: c.Base, keeper: proof.New(c.Secret), client: c.Transport,
		silence: or(c.Silence, defaultSilence), patience: or(c.Patience, defaultPatience), onFailure: c.OnFailure,
	}
	if n.base == nil {
		n.base = http.DefaultTransport
	}
	if n.client == nil {
		n.own = newTransport()
		n.client = n.own
	}
	if n.onFailure == nil {
		n.onFailure = func(err error) { log.Print(err) }
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.tiers(c.Cache)
	if e, ok := n.directory.(engine); ok {
		e.join(n.self, n)
	}
	return n, nil
}

func (c *Config) check() error {
	var faults []error
	if err := checkAddress(c.Self); err != nil {
		faults = append(faults, fmt.Errorf("cluster: Self: %w", err))
	}
	if c.Directory == nil {
		faults = append(faults, errors.New("cluster: Directory is missing"))
	}
	if len(c.Secret) < leastSecret {
		faults = append(faults, errors.New("cluster: Secret has less than 16 bytes"))
	}
	if c.Cache != nil && c.Cache.Base != nil {
		faults = append(faults, errors.New("cluster: Cache.Base is set; what asks the origin is Config.Base"))
	}
	if c.Silence < 0 {
		faults = append(faults, errors.New("cluster: Silence is negative"))
	}
	return errors.Join(faults...)
}

// checkAddress tells whether a node can have this address.
func checkAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != s ||
		strings.ContainsAny(s, "# \t") {
		return errors.New("a node is http://HOST[:PORT], or the same with https")
	}
	return nil
}

// RoundTrip answers from the store, from a running fill, from another node, or from the origin, as [cache.Transport] does.
func (n *Node) RoundTrip(r *http.Request) (*http.Response, error) { return n.edge.RoundTrip(r) }

// Stats are the counters of a Node since it began.
type Stats struct {
	Edge   cache.Stats // of what answers viewers; its OriginBytes came from other nodes or from Parent
	Parent cache.Stats // of what answers nodes, and asks the origin

	FromNodes     uint64 // questions of Edge that another node answered
	FromNodeBytes uint64 // body bytes of those
	ToNodes       uint64 // questions of other nodes that were answered
	Takeovers     uint64 // keys that were taken from a node that failed
	Alone         uint64 // questions that Parent was asked since neither a node nor the directory was of help
	Hedged        uint64 // questions that went another way, too, since no header came within Patience
	Unheard       uint64 // questions that a ValkeyDirectory answered without its engine
	Resumed       uint64 // bodies that went on from another node
	Refused       uint64 // requests to Handler without a valid proof
}

type counters struct {
	fromNodes, fromNodeBytes, toNodes, takeovers, alone, hedged, resumed, refused atomic.Uint64
}

// Stats returns the counters as they are now.
func (n *Node) Stats() Stats {
	c := &n.count
	s := Stats{
		Edge: n.edge.Stats(), Parent: n.parent.Stats(),
		FromNodes: c.fromNodes.Load(), FromNodeBytes: c.fromNodeBytes.Load(), ToNodes: c.toNodes.Load(),
		Takeovers: c.takeovers.Load(), Alone: c.alone.Load(), Hedged: c.hedged.Load(),
		Resumed: c.resumed.Load(), Refused: c.refused.Load(),
	}
	if d, ok := n.directory.(*ValkeyDirectory); ok {
		s.Unheard = d.lost.Load()
	}
	return s
}

// Leave withdraws this node: others no longer ask it, what they are reading comes to its end until ctx does, and its
// viewers are served on, without the help of a directory's engine. It is for the time before the process ends, and
// returns an error if other nodes may still think that this one is there, or were cut off.
func (n *Node) Leave(ctx context.Context) error {
	n.serveMu.Lock()
	n.leaving.Store(true)
	n.serveMu.Unlock()
	var err error
	if e, ok := n.directory.(engine); ok {
		err = e.leave(ctx)
	}
	n.cancel()
	done := make(chan struct{})
	go func() {
		n.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// resumeLimit is how old a body may be that is begun anew to find its end: what comes later, viewers do not wait for.
func (n *Node) resumeLimit() time.Duration { return or(max(n.edge.Idle, 0), 10*time.Second) / 2 }

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
