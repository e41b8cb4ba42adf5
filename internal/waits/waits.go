// Package waits lets the outermost block of a chain say how long the inner ones may wait, so that one setting is enough.
package waits

import (
	"context"
	"time"
)

type key struct{}

// With says how long the header of an answer may take.
func With(ctx context.Context, header time.Duration) context.Context {
	return context.WithValue(ctx, key{}, header)
}

// Header is what an outer block allows for the header of an answer, or zero where none says.
func Header(ctx context.Context) time.Duration {
	d, _ := ctx.Value(key{}).(time.Duration)
	return d
}
