// Package sharing lets the outermost block of a chain and the inner ones tell each other what only one of them knows of a
// request: whether its viewer is like all others, and how long its answer may take.
package sharing

import (
	"context"
	"time"
)

// Anonymous is the key of a context value. It is true for a request that tells the origin nothing by which it could know one
// viewer from another, and whose answer reaches its viewer without cookies.
type Anonymous struct{}

// IsAnonymous reports whether a context says so.
func IsAnonymous(ctx context.Context) bool {
	is, _ := ctx.Value(Anonymous{}).(bool)
	return is
}

// Waiter is the key of a context value: a func(time.Duration) that lets the outer block wait for the header for at least so
// long.
type Waiter struct{}

// WaitLonger makes the outer block wait for an answer on this context for at least so long in all.
func WaitLonger(ctx context.Context, d time.Duration) {
	if longer, ok := ctx.Value(Waiter{}).(func(time.Duration)); ok {
		longer(d)
	}
}
