// Package waits lets the outermost block of a chain set how long the inner ones may wait, so that one setting is enough.
package waits

import (
	"context"
	"time"
)

type key struct{}

type idleKey struct{}

// WithIdle sets how long the body of an answer may pause.
func WithIdle(ctx context.Context, idle time.Duration) context.Context {
	return context.WithValue(ctx, idleKey{}, idle)
}

// Idle is how long an outer block lets the body pause, zero if none says.
func Idle(ctx context.Context) time.Duration {
	d, _ := ctx.Value(idleKey{}).(time.Duration)
	return d
}

// With sets how long the header of an answer may take.
func With(ctx context.Context, header time.Duration) context.Context {
	return context.WithValue(ctx, key{}, header)
}

// Header is how long an outer block lets the header take, zero if none says.
func Header(ctx context.Context) time.Duration {
	d, _ := ctx.Value(key{}).(time.Duration)
	return d
}
