package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"syscall"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
)

// The requests that nodes make.
const (
	pathFetch = "/hlsproxy/fetch"
	pathPurge = "/hlsproxy/purge"
	pathPing  = "/hlsproxy/ping"
)

// The fields that nodes exchange, besides those of a proof.
const (
	fieldStatus = ours + "Status" // the status of the answer; the HTTP status is about the node
	fieldLength = ours + "Length" // of the body, which is sent in chunks
	fieldError  = ours + "Error"  // the status stands for an error, not for an answer of the origin
	fieldEnd    = ours + "End"    // trailer: how the body ended
	fieldHost   = ours + "Host"   // of the request, if it differs from that of the URL
	fieldPurged = ours + "Purged" // the last purge that covers the key
	fieldEager  = ours + "Eager"  // of a request: with the body, however long
	fieldLazy   = ours + "Lazy"   // of an answer: without the body, because its slices are requested
	fieldNobody = ours + "Nobody" // of a request: it tells nothing about its viewer
	fieldWait   = ours + "Wait"   // of a request: how long the header may take, in milliseconds
	fieldWhy    = ours + "Why"    // with a 503
	fieldTier   = ours + "Tier"   // of a request to a Transport: the answer must have its exact age
	fieldAge    = ours + "Age"    // in milliseconds
	fieldNewer  = ours + "Newer"  // of a request: how old the answer may be, in milliseconds
	// Of a live playlist: how many milliseconds ago its encoder began again.
	fieldRestarted = ours + "Restarted"
)

const (
	endWhole  = "whole"
	endBroken = "broken"
	whyBusy   = "busy"
	whyLeave  = "leaving"
)

// nodeFault is a fault of another node.
type nodeFault struct {
	gone  bool // it does not run, or is about to stop
	busy  bool // it works, but refuses this request
	cause error
}

func (f *nodeFault) Error() string { return fmt.Sprintf("cluster: another node: %v", f.cause) }
func (f *nodeFault) Unwrap() error { return f.cause }

var (
	errSilent  = errors.New("nothing came")
	errRefused = errors.New("it does not take our proof: do secrets or clocks differ?")
	errAnswer  = errors.New("its answer has no proof")
	errDown    = errors.New("it failed a moment ago")
	errCut     = errors.New("its answer was cut")
)

// call sends a request to another node. It returns an answer with status 200 and its code, or a *nodeFault. A node that has
// restarted answers with its new ID, which is used for another try.
func (n *Node) call(ctx context.Context, p *peer, method, target string, h http.Header) (*http.Response, string, error) {
	for try := 0; ; try++ {
		id := p.start()
		header := h.Clone()
		code := n.keeper.Sign(method, target, header, id)
		r, err := http.NewRequestWithContext(ctx, method, p.url+target, nil)
		if err != nil {
			return nil, "", &nodeFault{cause: err}
		}
		r.Header = header
		resp, err := n.trip(r)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return nil, "", &nodeFault{gone: refused(err), cause: err}
		}
		if resp.StatusCode == http.StatusOK {
			return resp, code, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<10)
		resp.Body.Close()
		again := p.learn(resp.Header.Get(proof.Node), id)
		switch {
		case resp.StatusCode == http.StatusForbidden && again && try == 0:
			continue
		case resp.StatusCode == http.StatusForbidden:
			n.tell(fmt.Errorf("cluster: node %s: %w", p.url, errRefused))
			return nil, "", &nodeFault{cause: errRefused}
		}
		why := resp.Header.Get(fieldWhy)
		return nil, "", &nodeFault{
			gone: why == whyLeave, busy: why == whyBusy || isTooLong(resp.StatusCode), cause: fmt.Errorf("status %d", resp.StatusCode),
		}
	}
}

// trip sends a request. It is often called in a goroutine of its own, where a panic of a hook would end the process.
func (n *Node) trip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, panicked(p)
		}
	}()
	return n.client.RoundTrip(r)
}

func panicked(p any) error { return fmt.Errorf("cluster: a hook panicked: %v", p) }

// logPanic is deferred around a hook whose caller needs no answer.
func logPanic() {
	if p := recover(); p != nil {
		log.Print(panicked(p))
	}
}

// isTooLong reports whether a server refuses the request for its length. The viewer writes much of it, and must not be able to
// make a node look broken.
func isTooLong(status int) bool {
	return status == http.StatusRequestHeaderFieldsTooLarge || status == http.StatusRequestURITooLong
}

// refused reports whether nobody listens at the address any longer.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// listened is call for an answer that may take long, as long as the node sends signs of life. end releases it.
func (n *Node) listened(ctx context.Context, p *peer, method, target string, h http.Header) (resp *http.Response, code string, end context.CancelCauseFunc, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := newWatch(n, p, cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		watch.begin()
		return nil
	}})
	watch.begin()
	resp, code, err = n.call(ctx, p, method, target, h)
	watch.stop()
	if err == nil && context.Cause(ctx) != nil {
		resp.Body.Close()
		err = &nodeFault{cause: context.Cause(ctx)}
	}
	if err != nil {
		cancel(nil)
		return nil, "", nil, err
	}
	return resp, code, cancel, nil
}

// ping reports whether a node is there and works.
func (n *Node) ping(ctx context.Context, p *peer) bool {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	resp, code, err := n.call(ctx, p, http.MethodGet, pathPing, http.Header{})
	if err != nil {
		return false
	}
	resp.Body.Close()
	return n.keeper.IsReply(resp.Header.Get(proof.Answer), code, "") // something else may be at that address by now
}

// works reports whether a node may be asked. A node that failed a while ago is tried by a ping, not by a viewer's request.
func (n *Node) works(p *peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down.IsZero() {
		return true
	}
	if !p.pinging && time.Since(p.down) >= downFor && n.ctx.Err() == nil {
		p.pinging = true
		go n.try(p)
	}
	return false
}

func (n *Node) try(p *peer) {
	ok := n.ping(n.ctx, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinging, p.down = false, time.Now()
	if ok {
		p.down, p.gone = time.Time{}, false
	}
}

// isAlive reports whether a node that does not answer has a heartbeat.
func (n *Node) isAlive(node string) (is bool) {
	defer logPanic()
	d, ok := n.directory.(interface{ Alive(string) bool })
	return ok && d.Alive(node)
}

// tell calls the hook, at most every ten seconds for the same trouble.
func (n *Node) tell(err error) {
	now := time.Now().UnixNano()
	last := n.told.Load()
	if now-last < int64(10*time.Second) || !n.told.CompareAndSwap(last, now) {
		return
	}
	defer logPanic()
	n.onFailure(err)
}
