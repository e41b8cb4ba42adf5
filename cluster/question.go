package cluster

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// question is a request of the edge, on its way to the node with the answer.
type question struct {
	n    *Node
	r    *http.Request
	key  string // of cache.Transport
	held string // what the directory is asked about: key, or a part of it
	host string // of the origin

	slice *cache.Slice // nil: the whole
	eager bool         // with the body, however long
}

const (
	mostTries   = 3                // nodes that are asked for one answer
	farFor      = 30 * time.Second // how long a broken connection to an origin is avoided
	blockingFor = 30 * time.Second // how long an origin may hold a blocking playlist reload before another node tries
)

func newQuestion(n *Node, r *http.Request) *question {
	q := &question{n: n, r: r, key: n.key(r), host: r.URL.Host}
	if s, ok := cache.SliceOf(r); ok {
		q.slice = &s
	}
	q.held = heldAs(q.key, q.slice)
	return q
}

// shareable reports whether nodes share the answer: it must not depend on credentials, of the viewer or of a link's maker,
// which another node cannot tell apart. Nor does a URL with user information go to another node: no Transport stores its
// answer.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" || r.Body != nil && r.Body != http.NoBody {
		return false
	}
	if r.URL == nil || r.URL.User != nil || r.URL.Opaque != "" {
		return false
	}
	for _, name := range [...]string{"Authorization", "Cookie", "Upgrade"} {
		if _, ok := r.Header[name]; ok {
			return false
		}
	}
	return len(maker.Credentials(r)) == 0
}

// answer asks the holder, then nodes that take its place if it fails, and in the end the origin.
func (q *question) answer(ctx context.Context) (*http.Response, error) {
	node, err := q.holder(ctx)
	if err != nil {
		q.n.count.alone.Add(1)
	}
	for range mostTries {
		if node == q.n.self || q.n.far.has(node+" "+q.host) {
			break
		}
		p := q.n.peers.get(node)
		resp, err := q.ask(ctx, p)
		var fault *nodeFault
		if err == nil || ctx.Err() != nil || !errors.As(err, &fault) {
			return resp, err
		}
		node = q.instead(ctx, p, fault)
	}
	return q.self(ctx)
}

// holder is the node to ask.
func (q *question) holder(ctx context.Context) (string, error) {
	n := q.n
	sum := digestOf(q.held)
	d, ok := n.directory.(interface{ lasting() bool })
	lasting := !ok || d.lasting()
	if node, ok := n.near.get(sum); ok {
		return node, nil
	}
	node, err := n.directory.Holder(ctx, q.held, n.self)
	if err == nil {
		err = checkAddress(node)
	}
	if err != nil {
		return n.self, err
	}
	if lasting {
		n.near.put(sum, node)
	}
	return node, nil
}

// ask asks another node, and ourselves as well if that node hears nothing from the origin.
func (q *question) ask(ctx context.Context, p *peer) (*http.Response, error) {
	if !q.n.works(p) {
		return nil, &nodeFault{gone: p.isGone(), cause: errDown}
	}
	resp, second, err := q.either(ctx, func(ctx context.Context) (*http.Response, error) { return q.from(ctx, p) }, q.own)
	if second {
		q.n.far.add(p.url+" "+q.host, farFor)
	}
	return resp, err
}

// self asks our parent, and another node as well if our parent hears nothing from the origin.
func (q *question) self(ctx context.Context) (*http.Response, error) {
	n := q.n
	if n.far.has(n.self + " " + q.host) {
		resp, err := q.elsewhere(ctx)
		var fault *nodeFault
		if err == nil || !errors.As(err, &fault) {
			return resp, err
		}
	}
	resp, second, err := q.either(ctx, q.own, q.elsewhere)
	if second {
		n.far.add(n.self+" "+q.host, farFor)
	}
	return resp, err
}

// elsewhere asks another node, which may reach the origin.
func (q *question) elsewhere(ctx context.Context) (*http.Response, error) {
	n := q.n
	d, ok := n.directory.(interface{ nearby() []string })
	if !ok {
		return nil, &nodeFault{cause: errNoMembers}
	}
	other := best(q.held, d.nearby(), func(m string) bool {
		return m == n.self || n.far.has(m+" "+q.host) || n.peers.get(m).isDown()
	}, "")
	if other == "" {
		return nil, &nodeFault{cause: errNoMembers}
	}
	return q.from(ctx, n.peers.get(other))
}

// own asks our parent.
func (q *question) own(ctx context.Context) (*http.Response, error) {
	r := q.r.WithContext(ctx)
	r.Header = q.r.Header.Clone()
	r.Header[fieldTier] = []string{"1"}
	if at := q.notBefore(); !at.IsZero() {
		if err := q.n.parent.Outdate(r, at); err != nil {
			return nil, err
		}
	}
	resp, err := q.n.askParent(r, q.slice)
	if err != nil {
		return nil, err
	}
	// The edge has the same name, and adds its own entry.
	if said := resp.Header["Cache-Status"]; len(said) > 1 {
		resp.Header["Cache-Status"] = said[:len(said)-1]
	} else {
		delete(resp.Header, "Cache-Status")
	}
	return resp, nil
}

// notBefore is when the answer must have been made at the earliest. Zero: at any time. A slice is of one version in any case.
func (q *question) notBefore() time.Time {
	if q.slice != nil {
		return time.Time{}
	}
	return q.n.edge.NotBefore(q.r)
}

// from asks another node.
func (q *question) from(ctx context.Context, p *peer) (*http.Response, error) {
	n := q.n
	u := *q.r.URL
	u.Fragment, u.RawFragment = "", ""
	target := pathFetch + "?url=" + url.QueryEscape(u.String())
	h := forwarded(q.r.Header)
	addSlice(h, q.slice)
	addContext(ctx, h)
	if q.eager {
		h[fieldEager] = []string{"1"}
	}
	if q.r.Host != "" && q.r.Host != u.Host {
		h[fieldHost] = []string{q.r.Host}
	}
	if p, ok := n.purges.of(q.key); ok {
		h[fieldPurged] = []string{p.String()}
	}
	if at := q.notBefore(); !at.IsZero() {
		h[fieldNewer] = []string{millis(time.Since(at))}
	}
	method := q.r.Method
	if method == "" {
		method = http.MethodGet
	}
	env, code, end, err := n.listened(ctx, p, method, target, h)
	if err == nil && !n.keeper.IsReply(env.Header.Get(proof.Answer), code, said(env.Header)...) {
		env.Body.Close()
		end(nil)
		err = &nodeFault{cause: errAnswer}
	}
	if err != nil {
		var fault *nodeFault
		if errors.As(err, &fault) && !fault.busy && ctx.Err() == nil {
			p.failed(fault.gone)
		}
		return nil, err
	}
	status, err := strconv.Atoi(env.Header.Get(fieldStatus))
	if err == nil && env.Header.Get(fieldError) != "" {
		env.Body.Close()
		end(nil)
		return nil, faultOf(status, env.Header)
	}
	if err != nil || status < 200 || status > 999 {
		env.Body.Close()
		end(nil)
		return nil, &nodeFault{cause: errAnswer}
	}
	n.count.fromNodes.Add(1)
	isLazy := env.Header.Get(fieldLazy) != ""
	resp := unwrap(q.r, env, status)
	if isLazy {
		env.Body.Close()
		end(nil)
		resp.Body = &lazy{q: q, peer: p, head: resp.Header, length: resp.ContentLength, ctx: ctx}
		return resp, nil
	}
	resp.Body = q.body(env, resp, p, end)
	return resp, nil
}

// instead is the node to ask in place of one that failed.
func (q *question) instead(ctx context.Context, p *peer, fault *nodeFault) string {
	n := q.n
	if fault.busy {
		n.count.alone.Add(1)
		return n.self
	}
	if !fault.gone && n.isAlive(p.url) {
		// It works, but refuses us. If we took the key from it, it would only take it back.
		n.count.alone.Add(1)
		return n.self
	}
	next, err := n.directory.Take(ctx, q.held, p.url, n.self)
	if err != nil || checkAddress(next) != nil {
		n.count.alone.Add(1)
		return n.self
	}
	if next == n.self {
		n.count.takeovers.Add(1)
	}
	if d, ok := n.directory.(interface{ lasting() bool }); !ok || d.lasting() {
		n.near.put(digestOf(q.held), next)
	}
	return next
}
