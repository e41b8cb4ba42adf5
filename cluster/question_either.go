package cluster

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// ask is one way to get an answer.
type ask func(context.Context) (*http.Response, error)

var errOvertaken = errors.New("cluster: another was faster")

// either asks first and, if no header comes within Patience, second as well. The first answer counts, and only the other one is
// canceled. If second asked a node that is of no help, it is called again. overtaken: it is the answer of second.
func (q *question) either(ctx context.Context, first, second ask) (resp *http.Response, overtaken bool, err error) {
	wait := q.n.patience
	if wait < 0 {
		resp, err = first(ctx)
		return resp, false, err
	}
	if hls.IsBlocking(q.r.URL.RawQuery) {
		wait = max(wait, blockingFor)
	}
	ctx1, cancel1 := context.WithCancelCause(ctx)
	ctx2, cancel2 := context.WithCancelCause(ctx)
	type result struct {
		resp *http.Response
		err  error
	}
	came := make(chan result, 1)
	var chosen atomic.Bool
	ended := make(chan struct{}) // first
	timer := time.AfterFunc(wait, func() {
		q.n.count.hedged.Add(1)
		resp, err := repeated(ctx2, second, wait, ended)
		switch {
		case err != nil:
		case chosen.CompareAndSwap(false, true):
			cancel1(errOvertaken)
		default:
			resp.Body.Close()
			resp, err = nil, errOvertaken
		}
		came <- result{resp, err}
	})
	// settled is the answer of first, or that of second if it came before. The other one ends.
	settled := func(resp *http.Response, err error) (*http.Response, bool, error) {
		if timer.Stop() {
			cancel2(nil)
			return held(resp, cancel1, err), false, err
		}
		close(ended)
		if err == nil && chosen.CompareAndSwap(false, true) {
			cancel2(errOvertaken)
			return held(resp, cancel1, nil), false, nil
		}
		if err == nil {
			resp.Body.Close()
		}
		other := <-came
		cancel1(nil)
		if other.err != nil {
			cancel2(nil)
			return nil, false, err
		}
		return held(other.resp, cancel2, nil), true, nil
	}
	returned := false
	defer func() {
		if !returned { // a hook panicked in first: nobody will read an answer
			resp, _, _ := settled(&http.Response{Body: http.NoBody}, nil)
			resp.Body.Close()
		}
	}()
	resp, err = first(ctx1)
	returned = true
	return settled(resp, err)
}

// repeated runs an ask while another one goes on, mostTries times at most, until it does not fail for a node.
func repeated(ctx context.Context, second ask, pause time.Duration, ended <-chan struct{}) (resp *http.Response, err error) {
	for try := 1; ; try++ {
		resp, err = caught(second, ctx)
		var fault *nodeFault
		if try == mostTries || !errors.As(err, &fault) {
			return resp, err
		}
		select {
		case <-time.After(pause):
		case <-ended:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// caught runs an ask in a goroutine of its own, where a panic of a hook would end the process.
func caught(second ask, ctx context.Context) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, panicked(p)
		}
	}()
	return second(ctx)
}

// held ends a context together with the body of an answer.
func held(resp *http.Response, cancel context.CancelCauseFunc, err error) *http.Response {
	if err != nil {
		cancel(nil)
		return nil
	}
	resp.Body = &ending{ReadCloser: resp.Body, end: cancel}
	return resp
}

type ending struct {
	io.ReadCloser
	end  context.CancelCauseFunc
	once sync.Once
}

func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.once.Do(func() { e.end(nil) })
	return err
}
