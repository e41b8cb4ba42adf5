package origin

import (
	"net/http"
	"time"
)

// hedges reports a request that two origins may be asked for.
func (t *trip) hedges() bool {
	return t.pool.hedge > 0 && len(t.order) > 1 && t.pool.retries > 0 && repeatable(t.request) && !isBlocking(t.request.URL)
}

// race asks the next origin, and a second one when the first takes its time. The first good answer wins.
func (t *trip) race() *http.Response {
	results := make(chan attempt, 2)
	var calls []*call
	begin := func() {
		c := t.pick()
		calls = append(calls, c)
		patience := t.more()
		go func() { results <- t.ask(c, patience) }()
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
			if t.pool.budget.spend() {
				begin()
				running++
			}
		}
	}
	return nil
}

// lose ends the call whose answer is not resp, and lets go of what it still brings.
func lose(calls []*call, resp *http.Response, results <-chan attempt) {
	for _, c := range calls {
		if body, ok := resp.Body.(*callBody); !ok || body.call != c {
			c.drop()
		}
	}
	go func() {
		if a := <-results; a.resp != nil {
			a.resp.Body.Close()
		}
	}()
}
