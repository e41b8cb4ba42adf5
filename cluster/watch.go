package cluster

import (
	"context"
	"sync"
	"time"
)

// watch waits for a node, and gives up on one that hangs.
type watch struct {
	n      *Node
	peer   *peer
	giveUp context.CancelCauseFunc
	timer  *time.Timer

	mu    sync.Mutex
	since time.Time // when the wait began; zero: nobody waits
	over  bool
}

const (
	lookAgain  = 100 * time.Millisecond
	mostSilent = 3 // times Silence, for a node that has a heartbeat
)

func newWatch(n *Node, p *peer, giveUp context.CancelCauseFunc) *watch {
	w := &watch{n: n, peer: p, giveUp: giveUp}
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	return w
}

// begin begins a wait anew.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.since = time.Now()
	w.timer.Reset(w.n.silence)
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Time{}
	w.timer.Stop()
}

// stop ends all waits: a sign of life may still come after its request has ended.
func (w *watch) stop() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.end()
}

// look is called when a node has sent nothing for a while. If it answers a ping, it works, and the origin is slow. If it has a
// heartbeat, it may be overloaded, or unreachable from here; it gets more time.
func (w *watch) look() {
	w.mu.Lock()
	since := w.since
	w.mu.Unlock()
	if since.IsZero() {
		return
	}
	works := w.n.ping(context.Background(), w.peer)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.since != since:
	case works:
		w.since = time.Now()
		w.timer.Reset(w.n.silence)
	case time.Since(since) < mostSilent*w.n.silence && w.n.isAlive(w.peer.url):
		w.timer.Reset(lookAgain)
	default:
		w.giveUp(errSilent)
	}
}
