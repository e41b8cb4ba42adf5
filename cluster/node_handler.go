package cluster

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
)

const (
	tellEvery  = 300 * time.Millisecond // how often a node says that it waits for the origin
	stallLimit = 30 * time.Second       // how long a node may read nothing of what is sent to it
)

// Handler answers other nodes. Use it on a listener that only nodes can reach. A request without a valid proof gets a 403
// before anything else is done, but it can use the time and memory that the server allows for headers: set its
// ReadHeaderTimeout. Config.Base decides which addresses a node's request may lead to.
func (n *Node) Handler() http.Handler { return http.HandlerFunc(n.serve) }

func (n *Node) serve(w http.ResponseWriter, r *http.Request) {
	w.Header()[proof.Node] = []string{n.keeper.ID}
	code, covered, err := n.keeper.Check(r.Method, r.RequestURI, r.Header)
	if err != nil {
		n.count.refused.Add(1)
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	if !n.enter() {
		refuse(w, whyLeave)
		return
	}
	defer n.serving.Done()
	switch {
	case r.URL.Path == pathPing && r.Method == http.MethodGet:
		w.Header().Set(proof.Answer, n.keeper.Reply(code, ""))
	case r.URL.Path == pathPurge && r.Method == http.MethodPost:
		n.servePurge(w, r, code)
	case r.URL.Path == pathFetch && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		n.serveFetch(w, r, code, covered)
	default:
		http.NotFound(w, r)
	}
}

// enter admits a request, unless the node is leaving.
func (n *Node) enter() bool {
	n.serveMu.Lock()
	defer n.serveMu.Unlock()
	if n.leaving.Load() {
		return false
	}
	n.serving.Add(1)
	return true
}

// refuse says that the node cannot help now.
func refuse(w http.ResponseWriter, why string) {
	w.Header().Set(fieldWhy, why)
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (n *Node) serveFetch(w http.ResponseWriter, r *http.Request, code string, covered http.Header) {
	q, err := n.asked(r, covered)
	if err != nil || !shareable(q) {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	if err := n.heed(r.Context(), covered.Get(fieldPurged)); err != nil {
		refuse(w, whyBusy) // rather than send old content
		return
	}
	if ms, err := strconv.ParseInt(covered.Get(fieldNewer), 10, 40); err == nil {
		if err := n.parent.Outdate(q, time.Now().Add(-time.Duration(max(ms, 0))*time.Millisecond)); err != nil {
			n.answerFault(w, code, err)
			return
		}
	}
	signs := keepTelling(w)
	defer signs.stop() // nothing may be written once the handler has ended, in whatever way
	resp, err := n.askParent(q, sliceIn(covered))
	signs.stop()
	if errors.Is(err, cache.ErrChanged) {
		resp, err = changed(), nil // the asking edge compares it with what it has
	}
	switch {
	case errors.Is(err, cache.ErrBusy):
		refuse(w, whyBusy)
		return
	case err != nil:
		n.answerFault(w, code, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		n.answerFault(w, code, cache.ErrBroken) // otherwise the asking node would blame us
		return
	}
	n.count.toNodes.Add(1)
	h := w.Header()
	wrap(h, resp)
	isLazy := resp.StatusCode == http.StatusOK && cache.IsSliced(resp) && covered.Get(fieldEager) == ""
	if isLazy {
		h.Set(fieldLazy, "1")
	}
	n.signAnswer(h, code)
	if !hasBody(r.Method, resp.StatusCode) || isLazy {
		return
	}
	h.Set("Trailer", fieldEnd)
	w.WriteHeader(http.StatusOK)
	err = pour(w, resp.Body)
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is listening
	}
	if err != nil {
		h.Set(fieldEnd, endBroken)
		return
	}
	h.Set(fieldEnd, endWhole)
}

// asked is the request that another node wants us to make.
func (n *Node) asked(r *http.Request, covered http.Header) (*http.Request, error) {
	u, err := url.Parse(r.URL.Query().Get("url"))
	if err != nil {
		return nil, err
	}
	q := (&http.Request{
		Method: r.Method, URL: u, Host: u.Host, Header: received(covered),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(contextIn(r.Context(), covered))
	if host := covered.Get(fieldHost); host != "" {
		q.Host = host
	}
	q.Header[fieldTier] = []string{"1"}
	return q, nil
}

// changed is an answer that matches no version.
func changed() *http.Response {
	return &http.Response{StatusCode: http.StatusPreconditionFailed, Header: http.Header{}, Body: http.NoBody}
}

// answerFault sends an error that is not the fault of this node.
func (n *Node) answerFault(w http.ResponseWriter, code string, err error) {
	h, status := w.Header(), statusOf(err)
	h.Set(fieldStatus, strconv.Itoa(status))
	h.Set(fieldError, "1")
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) && later.RetryAfter() > 0 {
		h.Set("Retry-After", strconv.Itoa(int((later.RetryAfter()+time.Second-1)/time.Second)))
	}
	n.signAnswer(h, code)
}

func (n *Node) signAnswer(h http.Header, code string) {
	h.Set(proof.Answer, n.keeper.Reply(code, said(h)...))
}

// said are the values that the proof of an answer covers.
func said(h http.Header) []string {
	return []string{h.Get(fieldStatus), h.Get(fieldError), h.Get(fieldLength), h.Get("Etag"), h.Get("Content-Range")}
}

// signs of life are sent while the origin is silent, so that the other node does not give up on this one.
type signs struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func keepTelling(w http.ResponseWriter) *signs {
	s := new(signs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(tellEvery, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.over {
			w.WriteHeader(http.StatusProcessing)
			s.timer.Reset(tellEvery)
		}
	})
	return s
}

func (s *signs) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.timer.Stop()
}

// pour sends a body as it arrives.
func pour(w http.ResponseWriter, body io.ReadCloser) error {
	out := &patient{w, http.NewResponseController(w)}
	defer out.wait() // the end of the answer is still to be written
	if to, ok := body.(io.WriterTo); ok {
		_, err := to.WriteTo(out)
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				return err
			}
			if n < len(buf) {
				if err := out.FlushError(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// patient gives the other side a time limit for each piece, not for the whole body.
type patient struct {
	w  io.Writer
	rc *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.wait(); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

func (p *patient) wait() error {
	if err := p.rc.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// FlushError sends buffered bytes.
func (p *patient) FlushError() error {
	if err := p.wait(); err != nil {
		return err
	}
	if err := p.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
