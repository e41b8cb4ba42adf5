package cluster

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/sharing"
	"github.com/hlsproxy/hlsproxy/internal/waits"
)

// longestWait is how long another node may let the origin take for a header, whatever it requests.
const longestWait = 5 * time.Minute

// addContext writes the values of the outer blocks in a request's context into its header.
func addContext(ctx context.Context, h http.Header) {
	if sharing.IsAnonymous(ctx) {
		h[fieldNobody] = []string{"1"}
	}
	if d := waits.Header(ctx); d > 0 {
		h[fieldWait] = []string{strconv.FormatInt(d.Milliseconds(), 10)}
	}
}

// contextIn returns a context with the values that addContext has written.
func contextIn(ctx context.Context, h http.Header) context.Context {
	if h.Get(fieldNobody) != "" {
		ctx = context.WithValue(ctx, sharing.Anonymous{}, true)
	}
	if ms, err := strconv.ParseInt(h.Get(fieldWait), 10, 32); err == nil && ms > 0 {
		ctx = waits.With(ctx, min(time.Duration(ms)*time.Millisecond, longestWait))
	}
	return ctx
}
