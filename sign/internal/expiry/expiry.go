// Package expiry says when links end: on a grid, so that a link made twice within a step is the same, and never after what
// the viewer was granted.
package expiry

import (
	"context"
	"fmt"
	"time"
)

// DefaultTTL is how long a link lives where nothing is said.
const DefaultTTL = 24 * time.Hour

const gridSteps = 16

// CheckTTL returns ttl, or what zero stands for.
func CheckTTL(ttl time.Duration) (time.Duration, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second {
		return 0, fmt.Errorf("TTL of %v is less than a second", ttl)
	}
	return ttl, nil
}

// StepOf returns the step of the grid of links that live for ttl.
func StepOf(ttl time.Duration) time.Duration {
	return max(time.Second, (ttl / gridSteps).Truncate(time.Second))
}

// After returns the first multiple of step that is at least d after t, in whole seconds.
func After(t time.Time, d, step time.Duration) time.Time {
	seconds := int64(step / time.Second)
	end := t.Add(d)
	unix := end.Unix()
	if end.Nanosecond() > 0 {
		unix++
	}
	return time.Unix((unix+seconds-1)/seconds*seconds, 0)
}

// A Bound is what a viewer was granted.
type Bound interface {
	// End is when the last of it ends, in seconds since 1970.
	End() int64
}

// Key is the key of the Bound in a context.
type Key struct{}

// Under returns when a link made now expires, in seconds since 1970.
func Under(ctx context.Context, ttl time.Duration) int64 {
	now, step := time.Now(), int64(StepOf(ttl)/time.Second)
	ahead := time.Duration(now.Nanosecond()) + ttl
	end := now.Unix() + int64((ahead+time.Second-1)/time.Second)
	end = (end + step - 1) / step * step
	if b, ok := ctx.Value(Key{}).(Bound); ok {
		end = min(end, b.End())
	}
	return end
}
