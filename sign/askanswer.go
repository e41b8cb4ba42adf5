package sign

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// answer is what a question led to, once done is closed.
type answer struct {
	done    chan struct{}
	expires time.Time // zero while it is being asked
	status  int
	header  http.Header
}

// mostAnswers bounds what is remembered: a stranger can ask any number of questions.
const mostAnswers = 1 << 14

// answer returns the answer that holds, or asks. Any number of viewers wait for the same one, and none of them ends it by
// leaving.
func (a *Ask) answer(ctx context.Context, q *Question) *answer {
	g, granted := FromContext(ctx)
	key := q.whole(g)
	a.mu.Lock()
	got := a.answers[key]
	if got == nil || !got.expires.IsZero() && !time.Now().Before(got.expires) {
		got = &answer{done: make(chan struct{})}
		a.makeRoom()
		a.answers[key] = got
		asking := context.Background()
		if granted {
			asking = NewContext(asking, g)
		}
		go a.ask(asking, key, *q, got)
	}
	a.mu.Unlock()
	select {
	case <-got.done:
		return got
	case <-ctx.Done():
		return &answer{status: http.StatusServiceUnavailable}
	}
}

// makeRoom forgets what no longer holds, and if that is not enough, any.
func (a *Ask) makeRoom() {
	if a.answers == nil {
		a.answers = make(map[askKey]*answer)
	}
	if len(a.answers) < mostAnswers {
		return
	}
	now := time.Now()
	for k, got := range a.answers {
		if !got.expires.IsZero() && !now.Before(got.expires) {
			delete(a.answers, k)
		}
	}
	for k := range a.answers {
		if len(a.answers) < mostAnswers*3/4 {
			return
		}
		delete(a.answers, k)
	}
}

func (a *Ask) ask(ctx context.Context, key askKey, q Question, got *answer) {
	timeout := a.Timeout
	if timeout == 0 {
		timeout = defaultAskTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result := make(chan *answer, 1)
	go func() { result <- a.try(ctx, q) }()
	var res *answer
	select {
	case res = <-result:
	case <-ctx.Done(): // Decide may not look at its context
		res = a.failed(ctx.Err())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	got.status, got.header = res.status, res.header
	got.expires = time.Now().Add(a.holds(got.status))
	if a.answers[key] == got && !time.Now().Before(got.expires) {
		delete(a.answers, key)
	}
	close(got.done)
}

// holds returns how long an answer is good for.
func (a *Ask) holds(status int) time.Duration {
	ttl := a.TTL
	if ttl == 0 {
		ttl = defaultAskTTL
	}
	switch {
	case status == http.StatusOK:
		return ttl
	case status == http.StatusServiceUnavailable:
		return min(ttl, failureTTL)
	case a.RefusalTTL != 0:
		return a.RefusalTTL
	}
	return ttl / 5
}

// try asks, and refuses whatever goes wrong on the way.
func (a *Ask) try(ctx context.Context, q Question) (res *answer) {
	defer func() {
		if p := recover(); p != nil {
			res = a.failed(fmt.Errorf("sign: panic while asking: %v", p))
		}
	}()
	switch {
	case a.URL != "":
		return a.post(ctx, q)
	case a.Decide == nil:
		return a.failed(errors.New("sign: Ask has neither URL nor Decide"))
	}
	err := a.Decide(ctx, q)
	var known interface{ HTTPStatus() int }
	switch {
	case err == nil:
		return &answer{status: http.StatusOK}
	case errors.As(err, &known):
		return &answer{status: statusOf(err)}
	}
	return a.refused()
}

func (a *Ask) refused() *answer {
	if a.Status != 0 {
		return &answer{status: a.Status}
	}
	return &answer{status: http.StatusForbidden}
}

func (a *Ask) failed(err error) *answer {
	if a.OnFailure != nil {
		a.OnFailure(err)
	}
	return &answer{status: http.StatusServiceUnavailable}
}
