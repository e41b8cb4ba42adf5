// Package cluster turns several nodes into one cache: for each key one of them asks the origin, and the others read its answer
// along while it arrives.
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
// A [Node] takes the place of a [cache.Transport]. It has two of them over one store: the edge answers viewers, the parent
// answers nodes and asks the origin. If the edge does not have an answer, a [Directory] says which node holds it, and the edge
// asks that node's parent over HTTP. A parent never asks another node, so requests cannot go in circles.
//
// The answer of the directory is a hint, not a lock. If a node dies, hangs or cannot be reached, another takes its place. If
// the directory fails, nodes agree by hashing; in the end each asks the origin itself. So no request of a viewer fails for one
// of these reasons. A body that is under way from a node that fails goes on from another one if it has a length and a strong
// ETag; otherwise it breaks.
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

// Config configures a [Node].
type Config struct {
	// Self is where other nodes reach Handler: http://HOST:PORT or the same with https, without a path. Required, and different
	// for each node. It is the name of this node in the Directory.
	Self string
	// Directory says which node asks the origin for a key. Required.
	Directory Directory
	// Base asks the origin: usually a pool over a guarded transport. It gets the requests of this node's viewers and of other
	// nodes alike, and decides which addresses may be reached. Nil: http.DefaultTransport, which does not protect internal
	// addresses.
	Base http.RoundTripper
	// Cache is the pattern for both tiers: its Store, TTL, Key and limits are used. The Transport itself is not used, and its
	// Base must be nil. All nodes must agree on Key. Nil: the zero Transport, which keeps nothing.
	Cache *cache.Transport
	// Secret is shared by all nodes: 16 bytes or more. It signs requests between nodes (HMAC). A signature is valid for 30 s,
	// for one receiver, and once. So the clocks of nodes may differ by up to 30 s.
	Secret []byte
	// Silence is how long another node may send nothing (no header, no byte, no sign of life) before the next node is asked. 0:
	// 1 s.
	Silence time.Duration
	// Patience is how long a node may wait for the header of the origin before another node tries as well, because only the
	// connection between these two may be broken. 0: 4 s. Negative: for ever. A blocking playlist reload may take 30 s.
	Patience time.Duration
	// Transport carries requests to other nodes. Nil: one that dials within 500 ms.
	Transport http.RoundTripper
	// OnFailure is told about trouble that only the operator can mend: refused proofs, and purges that were missed and that the
	// Store cannot carry out. It is called concurrently, at most every ten seconds. Nil: the trouble goes to package log.
	OnFailure func(error)
}

// Node is an http.RoundTripper that shares its answers with other nodes. Its methods may be called concurrently.
type Node struct {
	self      string
	directory Directory
	base      http.RoundTripper
	edge      *cache.Transport
	parent    *cache.Transport
	key       func(*http.Request) string
	keeper    *proof.Keeper
	client    http.RoundTripper
	own       *http.Transport // client, if it does not belong to the caller
	silence   time.Duration
	patience  time.Duration
	onFailure func(error)

	ctx    context.Context // ends with Leave
	cancel context.CancelFunc

	near   near
	far    gone // nodes and origins between which the connection is broken
	peers  peers
	purges purges
	count  counters

	heeding sync.Mutex
	trying  atomic.Int32 // purges that are being retried
	leaving atomic.Bool
	serving sync.WaitGroup // requests from other nodes
	serveMu sync.Mutex     // guards the step from serving to leaving
	told    atomic.Int64   // when OnFailure was last called for a refused proof
}

const (
	defaultSilence  = time.Second
	defaultPatience = 4 * time.Second
	leastSecret     = 16
)

// New makes a Node, or reports all faults of c. With a [ValkeyDirectory] the node counts as alive from now until Leave.
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

// tiers makes the two Transports of a node from one pattern.
func (n *Node) tiers(pattern *cache.Transport) {
	if pattern == nil {
		pattern = new(cache.Transport)
	}
	name := pattern.Name
	if name == "" {
		name = "hlsproxy-" + n.keeper.Name(n.self) // which does not reveal the address
	}
	n.edge, n.parent = like(pattern), like(pattern)
	n.edge.Name, n.parent.Name = name, name
	n.edge.Base = roundTripper(n.fetch)
	n.parent.Base = &originSide{n.base}
	n.edge.OnFill = nil // OnFill is about requests to the origin
	// The edge's viewers need not wait in any case, and stale times of two tiers must not add up.
	n.parent.StaleWhileRevalidate = 0
	n.parent.Ahead = 0 // nor may both tiers fetch ahead
	n.key = pattern.Key
	if n.key == nil {
		n.key = func(r *http.Request) string { return cache.Key(without(r, pattern.Ignore)) }
	}
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

// checkAddress reports whether a node can have this address.
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

// fetch is the Base of the edge. Requests that cannot be shared never go to another node.
func (n *Node) fetch(r *http.Request) (*http.Response, error) {
	if !shareable(r) {
		return n.parent.Base.RoundTrip(r)
	}
	return newQuestion(n, r).answer(r.Context())
}

// askParent asks for a slice, or for a whole.
func (n *Node) askParent(r *http.Request, s *cache.Slice) (*http.Response, error) {
	if s == nil {
		return n.parent.RoundTrip(r)
	}
	return n.parent.RoundTripSlice(r, *s)
}

// Stats are the counters of a Node since it began.
type Stats struct {
	Edge   cache.Stats // of the tier that answers viewers; its OriginBytes came from other nodes or from Parent
	Parent cache.Stats // of the tier that answers nodes and asks the origin

	FromNodes     uint64 // requests of Edge that another node answered
	FromNodeBytes uint64 // bytes of their bodies
	ToNodes       uint64 // requests of other nodes that were answered
	Takeovers     uint64 // keys taken over from a node that failed
	Alone         uint64 // requests to Parent because neither a node nor the directory could help
	Hedged        uint64 // requests that were sent another way as well, because no header came within Patience
	Unheard       uint64 // questions that a ValkeyDirectory answered without its engine
	Resumed       uint64 // bodies that continued from another node
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

// Leave withdraws this node: others no longer ask it, answers that they are reading may finish until ctx ends, and its viewers
// are still served, without a directory's engine. Call it before the process ends. An error means that other nodes may still
// think that this one is there, or were cut off.
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

// resumeLimit is how old a body may be to be fetched anew for its end: viewers do not wait longer.
func (n *Node) resumeLimit() time.Duration { return or(max(n.edge.Idle, 0), 10*time.Second) / 2 }

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
