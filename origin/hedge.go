package origin

import (
	"net/http"
	"time"
)

// hedges reports a request that two origins may be asked for.
func (t *trip) hedges() bool {
	return t.pool.hedge > 0 && len(t.order) > 1 && t.pool.retries > 0 && repeatable(t.request) && !t.blocks
}

// race asks the next origin, and a second one when the first takes its time. The first good answer wins.
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

// askAlone is ask on a goroutine of its own. Nobody there would recover a panic of Base, nor wait for what Base ends by
// runtime.Goexit: each is an error of the attempt.
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

// lose ends the call whose answer is not resp, and lets go of what it still brings.
func lose(calls []*call, resp *http.Response, results <-chan attempt) {
	for _, c := range calls {
		if body, ok := resp.Body.(*callBody); !ok || body.call != c {
			c.drop()
		}
	}
	go func() {
		defer func() { _ = recover() }() // the body is Base's, and nobody reads it
		if a := <-results; a.resp != nil {
			a.resp.Body.Close()
		}
	}()
}
