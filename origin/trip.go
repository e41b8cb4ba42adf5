package origin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// trip is one request on its way through a pool.
type trip struct {
	pool    *Pool
	request *http.Request
	tail    string
	order   []*member
	next    int // the member to try next
	put     int // how many were put at the end of the line
}

const errSlowOrigin = slowError("no header from this origin in time")

// attempt is what one origin made of the request.
type attempt struct {
	resp *http.Response
	err  error
}

// run tries origins until one gives an answer worth passing on.
func (t *trip) run() (*http.Response, error) {
	t.pool.budget.earn(time.Now())
	var first *http.Response // the first answer, kept for when no better one comes
	var faults []error
	for {
		a := t.try()
		if a.err != nil {
			faults = append(faults, a.err)
		} else if !poor(a.resp) {
			discard(first)
			return a.resp, nil
		}
		if first == nil {
			first = a.resp
		} else {
			discard(a.resp)
		}
		if !t.again(first) {
			break
		}
	}
	if first != nil {
		return first, nil
	}
	return nil, errors.Join(faults...)
}

// again reports whether another origin may be asked, and pays for it.
func (t *trip) again(first *http.Response) bool {
	most := t.pool.retries
	if first != nil && first.StatusCode == http.StatusNotFound {
		most = min(most, 1)
	}
	return t.next < len(t.order) && t.next <= most && repeatable(t.request) && t.request.Context().Err() == nil && t.pool.budget.spend()
}

// repeatable reports a request that may be sent twice (RFC 9110 section 9.2.2).
func repeatable(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.Body == nil || r.Body == http.NoBody)
}

// try asks the next origin in line.
func (t *trip) try() attempt {
	c := &call{pool: t.pool, ctx: t.request.Context(), begun: time.Now()}
	for {
		m := t.order[t.next]
		probe, ok := m.health.begin(c.begun, t.put >= len(t.order))
		if ok {
			c.member, c.probe = m, probe
			break
		}
		// It cools down, or somebody else finds out whether it works: those that do come first.
		copy(t.order[t.next:], t.order[t.next+1:])
		t.order[len(t.order)-1] = m
		t.put++
	}
	t.next++
	return t.ask(t.request, c, t.next < len(t.order) && t.next <= t.pool.retries && repeatable(t.request))
}

// ask sends r to an origin. With patience it gives up early, since there is somebody else to ask.
func (t *trip) ask(r *http.Request, c *call, patience bool) attempt {
	ctx, cancel := context.WithCancelCause(r.Context())
	c.cancel = cancel
	out := r.WithContext(ctx)
	out.URL = c.member.at(t.tail, r.URL)
	out.Host = out.URL.Host
	c.member.requests.Add(1)
	c.member.inFlight.Add(1)
	if limit := t.patience(); patience && limit > 0 {
		slow := time.AfterFunc(limit, func() { cancel(errSlowOrigin) })
		defer slow.Stop()
	}
	resp, err := t.pool.base.RoundTrip(out)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && r.Context().Err() == nil {
			err = cause
		}
		c.failed(err, c.begun)
		return attempt{err: err}
	}
	c.answered(resp)
	return attempt{resp: resp}
}

func (t *trip) patience() time.Duration {
	if isBlocking(t.request.URL) && t.pool.patience > 0 {
		return max(t.pool.patience, blockPatience)
	}
	return t.pool.patience
}

// sick reports a status that tells of a server in trouble.
func sick(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// poor reports an answer that another origin may have a better one for.
func poor(resp *http.Response) bool { return sick(resp) || resp.StatusCode == http.StatusNotFound }

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

func discard(resp *http.Response) {
	if resp != nil {
		drop(resp)
	}
}
