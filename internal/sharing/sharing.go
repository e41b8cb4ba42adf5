// Package sharing lets the outermost block of a chain and the inner ones exchange what only one of them knows about a request:
// whether its viewer is like all others, and how long its answer may take.
package sharing

import (
	"context"
	"time"
)

// Anonymous is the key of a context value. It is true if the request tells the origin nothing by which it could tell viewers
// apart, and if no cookie of the answer reaches the viewer.
type Anonymous struct{}

// IsAnonymous reports whether a context says so.
func IsAnonymous(ctx context.Context) bool {
	is, _ := ctx.Value(Anonymous{}).(bool)
	return is
}

// Waiter is the key of a context value: a func(time.Duration) that makes the outer block wait at least this long for the
// header.
type Waiter struct{}

// WaitLonger makes the outer block wait at least this long, in all, for an answer on this context.
func WaitLonger(ctx context.Context, d time.Duration) {
	if longer, ok := ctx.Value(Waiter{}).(func(time.Duration)); ok {
		longer(d)
	}
}
