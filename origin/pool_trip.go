package origin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// trip is one request on its way through a pool.
type trip struct {
	pool    *Pool
	request *http.Request
	tail    string
	stream  string
	blocks  bool // a blocking reload
	order   []*member
	next    int // the member to try next
	put     int // how many were moved to the end of the line

	missed []*call        // those that answered 404
	lately bool           // the last one answered 404
	stuck  bool           // the stream fails everywhere, or is held back: asking others is useless
	first  *http.Response // the first answer, kept in case no better one comes
	faults []error
}

const errSlowOrigin = slowError("no header from this origin in time")

// attempt is the result of one request to one origin.
type attempt struct {
	call *call
	resp *http.Response
	err  error
}

// run tries origins until one gives an answer that is worth passing on.
func (t *trip) run() (*http.Response, error) {
	t.pool.budgets.earn(time.Now())
	try := t.try
	if t.hedges() {
		try = t.race
	}
	for {
		if resp := try(); resp != nil {
			discard(t.first)
			return resp, nil
		}
		if !t.again() {
			break
		}
		try = t.try
	}
	if t.first != nil {
		return t.first, nil
	}
	return nil, errors.Join(t.faults...)
}

// judge returns an answer that is worth passing on, and remembers any other.
func (t *trip) judge(a attempt) *http.Response {
	if t.lately = a.err == nil && a.resp.StatusCode == http.StatusNotFound; t.lately {
		t.missed = append(t.missed, a.call)
	}
	switch {
	case a.err != nil:
		t.faults = append(t.faults, a.err)
		t.stuck = t.stuck || t.blocks && !ofConnection(a.err)
	case t.blocks: // it concerns the stream, which stands still elsewhere as well
		return a.resp
	case !poor(a.resp):
		if a.resp.StatusCode < 300 {
			t.blame()
		}
		return a.resp
	case t.first == nil:
		t.first = a.resp
	default:
		discard(a.resp)
	}
	return nil
}

// blame counts a failure for each origin that answered 404 where another had the resource. At the live edge this happens to any
// origin now and then; only several failures in a row take it out.
func (t *trip) blame() {
	for _, c := range t.missed {
		c.count(failure{now: time.Now(), probe: c.probe}, true)
	}
	t.missed = nil
}

// again reports whether another origin may be asked, and pays for it.
func (t *trip) again() bool {
	if len(t.missed) >= 2 || t.stuck || !t.more() || t.request.Context().Err() != nil {
		return false
	}
	if t.lately {
		return t.pool.budgets.missed.spend()
	}
	return t.pool.budgets.retries.spend()
}

// more reports whether there is another origin to ask.
func (t *trip) more() bool {
	return t.next < len(t.order) && t.next <= t.pool.retries && repeatable(t.request)
}

// repeatable reports whether a request may be sent twice (RFC 9110 section 9.2.2).
func repeatable(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.Body == nil || r.Body == http.NoBody)
}

// try asks the next origin in line.
func (t *trip) try() *http.Response {
	c := t.pick()
	return t.judge(t.ask(c, t.more()))
}

// pick takes the next origin.
func (t *trip) pick() *call {
	now := time.Now()
	for {
		m := t.order[t.next]
		force := t.put >= len(t.order)
		t.stuck = t.stuck || force && m.health.troubled(now, t.stream)
		probe, ok := m.health.begin(now, force, t.blocks, t.stream)
		if ok {
			t.next++
			return newCall(t, m, probe, now)
		}
		// It cools down, or another request is trying it: origins that work come first.
		copy(t.order[t.next:], t.order[t.next+1:])
		t.order[len(t.order)-1] = m
		t.put++
	}
}

// ask sends the request. With patience it gives up early, because there is another origin to ask.
func (t *trip) ask(c *call, patience bool) attempt {
	out := t.request.WithContext(c.ctx)
	out.URL = c.member.at(t.tail, t.request.URL)
	out.Host = out.URL.Host
	if t.pool.host != "" {
		out.Host = t.pool.host
	}
	var slow *time.Timer // nil: it may take its time
	if limit := t.patience(patience); limit > 0 {
		slow = time.AfterFunc(limit, func() { c.cancel(errSlowOrigin) })
		defer slow.Stop()
		out = out.WithContext(httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{
			// The origin says that it is working on it (RFC 9110 section 15.2).
			Got1xxResponse: func(int, textproto.MIMEHeader) error { slow.Reset(limit); return nil },
		}))
	}
	resp, err := t.roundTrip(c, out)
	if err == nil && slow != nil && (!slow.Stop() || c.ctx.Err() != nil) { // given up the moment before: nobody can read its body
		if resp.Body != nil {
			defer resp.Body.Close()
		}
		err = errSlowOrigin
	}
	if err != nil {
		if cause := context.Cause(c.ctx); cause != nil && t.request.Context().Err() == nil {
			err = cause
		}
		c.failed(err, c.begun)
		return attempt{call: c, err: err}
	}
	c.answered(resp)
	return attempt{call: c, resp: resp}
}

// roundTrip turns a panic of Base into an error of the attempt. The call ends in any case: a probe that never ended would keep
// its origin out for ever.
func (t *trip) roundTrip(c *call, out *http.Request) (resp *http.Response, err error) {
	returned := false
	defer func() {
		if !returned {
			c.drop()
			c.failed(err, c.begun)
		}
	}()
	defer caught(&err)
	resp, err = t.pool.base.RoundTrip(out)
	returned = true
	return resp, err
}

// patience is how long a header may take. For a blocking reload it is as long as the stream may stand still. If there is no
// other origin to ask, it is as long as the caller waits.
func (t *trip) patience(others bool) time.Duration {
	switch {
	case t.blocks && t.pool.patience > 0:
		return max(t.pool.patience, headerLimit)
	case !others:
		return -1
	}
	return t.pool.patience
}

// poor reports whether another origin may have a better answer.
func poor(resp *http.Response) bool {
	return httpstatus.Failed(resp.StatusCode) || resp.StatusCode == http.StatusNotFound
}

// askedWait is the Retry-After of a 503 (RFC 9110 section 10.2.3).
func askedWait(resp *http.Response, now time.Time) time.Duration {
	if resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	v := resp.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// drainLimit is how long an unwanted answer may take to end, so that its connection can be reused.
const drainLimit = 100 * time.Millisecond

// discard closes an answer, if there is one. A viewer that waits for a better answer need not wait for this.
func discard(resp *http.Response) {
	if resp == nil {
		return
	}
	if body, ok := resp.Body.(*callBody); ok {
		defer time.AfterFunc(drainLimit, body.call.drop).Stop()
	}
	drop(resp)
}

// hedges reports whether two origins may be asked for this request.
func (t *trip) hedges() bool {
	return t.pool.hedge > 0 && len(t.order) > 1 && t.pool.retries > 0 && repeatable(t.request) && !t.blocks
}

// race asks the next origin, and a second one if the first is slow. The first good answer wins.
func (t *trip) race() *http.Response {
	results := make(chan attempt, 2)
	var calls []*call
	begin := func() {
		c := t.pick()
		calls = append(calls, c)
		patience := t.more()
		go t.askAlone(c, patience, results)
	}
	begin()
	wait := time.NewTimer(t.pool.hedge)
	defer wait.Stop()
	for running := 1; running > 0; {
		select {
		case a := <-results:
			running--
			if resp := t.judge(a); resp != nil {
				if running > 0 {
					lose(calls, resp, results)
				}
				return resp
			}
		case <-wait.C:
			if t.pool.budgets.hedges.spend() {
				begin()
				running++
			}
		}
	}
	return nil
}

// askAlone is ask in a goroutine of its own. A panic of Base there, or runtime.Goexit, becomes an error of the attempt:
// otherwise the panic would end the process, and the caller would wait for ever.
func (t *trip) askAlone(c *call, patience bool, results chan<- attempt) {
	a := attempt{call: c, err: &statusError{status: http.StatusInternalServerError, text: "a RoundTripper ended its goroutine"}}
	defer func() {
		if v := recover(); v != nil {
			a.err = panicError(v)
		}
		results <- a
	}()
	a = t.ask(c, patience)
}

// lose ends the call whose answer is not resp, and closes an answer that still comes.
func lose(calls []*call, resp *http.Response, results <-chan attempt) {
	for _, c := range calls {
		if body, ok := resp.Body.(*callBody); !ok || body.call != c {
			c.drop()
		}
	}
	go func() {
		defer func() { _ = recover() }() // the body belongs to Base, and nobody reads it
		if a := <-results; a.resp != nil {
			a.resp.Body.Close()
		}
	}()
}

// outsideField marks a redirect to an origin that was removed from the pool. It means that server and no other, because the
// redirect may come from the server that replaced it.
const outsideField = "Hlsproxy-Outside"

// translate rewrites a redirect below the answering origin to the named origin, so that it has the same meaning relative to the
// URL of the request.
func translate(resp *http.Response, s *set, named *member, tail string) {
	location, leads := place(resp)
	body, ok := resp.Body.(*callBody)
	if !leads || !ok || !isRedirect(resp) {
		return
	}
	u, err := body.call.member.at(tail, resp.Request.URL).Parse(location)
	if err != nil {
		return // following the redirect will report the fault
	}
	if m, rest := below(s.members, u); m != nil {
		to := named.at(rest, u)
		to.Fragment, to.RawFragment = u.Fragment, u.RawFragment
		u = to
	} else if m, _ := below(s.former, u); m != nil {
		resp.Header.Set(outsideField, "1")
	}
	resp.Header.Set("Location", u.String())
}
