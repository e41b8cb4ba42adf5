package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Directory says which node asks the origin for a key. Its answers are hints, not locks: if it errs, an answer is fetched
// twice. Nodes are named by their [Config.Self], and keys by the keys of [cache.Transport] or parts of them. The methods may be
// called concurrently, and return soon after ctx has ended. If the Directory of a node fails, the node asks the origin itself.
//
// A Directory may also have a method Members(context.Context) ([]string, error) that lists the nodes; without it, Purge reaches
// only this node. It may also have a method Alive(node string) bool; without it, a node that is silent counts as dead.
type Directory interface {
	// Holder returns the node that asks the origin for key. If there is none, it is self from now on.
	Holder(ctx context.Context, key, self string) (string, error)
	// Take puts self in the place of gone, unless another node is there by now. It returns the holder.
	Take(ctx context.Context, key, gone, self string) (string, error)
}

const (
	pollEvery = 5 * time.Second // how long a list of members is used
	goneFor   = 2 * time.Second // how long a member that failed is left out
	mostGone  = 1024
)

// errNoMembers is the error of an empty list of members.
var errNoMembers = errors.New("cluster: nobody is a member")

// Rendezvous is a Directory without an engine: the holder of a key is the member with the highest score for it (rendezvous
// hashing), so that nodes agree without communication. members lists all nodes, this one included. It is called every 5 s; if
// it fails, the last list stays in use. If nodes have different lists, an answer may be fetched twice.
func Rendezvous(members func(context.Context) ([]string, error)) Directory {
	return &rendezvous{members: members}
}

// Static returns a list of members that does not change.
func Static(members ...string) func(context.Context) ([]string, error) {
	members = slices.Clone(members)
	return func(context.Context) ([]string, error) { return members, nil }
}

// DNS lists a member for each address of a name, such as a headless service of Kubernetes. base is http://NAME:PORT, or the
// same with https. A member is then http://ADDRESS:PORT, and Self must be spelled like that. Nil resolver:
// [net.DefaultResolver].
func DNS(base string, resolver *net.Resolver) func(context.Context) ([]string, error) {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	return func(ctx context.Context) ([]string, error) {
		u, err := url.Parse(base)
		if err != nil {
			return nil, errors.New("cluster: the name of members is no URL")
		}
		addrs, err := resolver.LookupHost(ctx, u.Hostname())
		if err != nil {
			return nil, err
		}
		members := make([]string, 0, len(addrs))
		for _, a := range addrs {
			members = append(members, u.Scheme+"://"+net.JoinHostPort(a, u.Port()))
		}
		slices.Sort(members)
		return members, nil
	}
}

type rendezvous struct {
	members func(context.Context) ([]string, error)

	mu    sync.Mutex
	list  []string
	asked time.Time
	gone  gone

	polling bool
}

// Members returns a list that is up to 5 s old, or a little older while a new one is requested. Only the first call waits.
func (d *rendezvous) Members(ctx context.Context) ([]string, error) {
	d.mu.Lock()
	list, due := d.list, time.Since(d.asked) >= pollEvery && !d.polling
	if list != nil && due {
		d.polling = true
		go d.poll()
	}
	d.mu.Unlock()
	if list != nil {
		return list, nil
	}
	return d.ask(ctx)
}

// poll requests a new list in the background.
func (d *rendezvous) poll() {
	ctx, cancel := context.WithTimeout(context.Background(), pollEvery)
	defer cancel()
	_, _ = d.ask(ctx)
}

// ask requests a list. If that fails, the last one stays in use.
func (d *rendezvous) ask(ctx context.Context) (list []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked, d.polling = time.Now(), false
		if err == nil {
			d.list = list
		}
	}()
	if list, err = d.members(ctx); err == nil && len(list) == 0 {
		err = errNoMembers
	}
	return list, err
}

func (d *rendezvous) Holder(ctx context.Context, key, self string) (string, error) {
	list, err := d.Members(ctx)
	if err != nil {
		return "", err
	}
	return best(key, list, d.gone.has, self), nil
}

func (d *rendezvous) Take(ctx context.Context, key, gone, self string) (string, error) {
	d.gone.add(gone, goneFor)
	return d.Holder(ctx, key, self)
}

func (d *rendezvous) nearby() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}

func (d *rendezvous) lasting() bool { return false }

// gone remembers failed nodes for a while, at most mostGone at a time: viewers choose some of the names. The zero value is
// empty.
type gone struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (g *gone) add(node string, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(g.until, func(_ string, until time.Time) bool { return now.After(until) })
	if g.until == nil {
		g.until = map[string]time.Time{}
	}
	if _, known := g.until[node]; known || len(g.until) < mostGone {
		g.until[node] = now.Add(d)
	}
}

func (g *gone) has(node string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.until[node]
	return ok && time.Now().Before(t)
}

// best is the member with the highest score for a key, except those that skip excludes; self if there is none.
func best(key string, members []string, skip func(string) bool, self string) string {
	who, most := self, uint64(0)
	for _, m := range members {
		if s := score(key, m); (s > most || s == most && m < who) && (m == self || !skip(m)) {
			who, most = m, s
		}
	}
	return who
}

// score hashes key and member together, so that the ranks of a member for different keys are independent.
func score(key, member string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write([]byte(member))
	x := h.Sum64() // the last bytes hardly affect its high bits
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// digest stands for a key in 16 bytes. It does not reveal the key.
type digest [16]byte

func digestOf(key string) (d digest) {
	sum := sha256.Sum256([]byte(key))
	copy(d[:], sum[:])
	return d
}

func (d digest) shard() int { return int(binary.LittleEndian.Uint16(d[:]) % nearShards) }
