// Package ignored carries the names of ignored query parameters, in the context of a request, from the block that is configured
// with them to the inner ones. Parameters that are left out of a cache key are also left out of the request: otherwise a viewer
// could use them to choose an answer for others.
package ignored

import (
	"context"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

type contextKey struct{}

// With adds names to those in ctx.
func With(ctx context.Context, names []string) context.Context {
	if len(names) == 0 {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, slices.Concat(Names(ctx), names))
}

// Names returns the names in ctx.
func Names(ctx context.Context) []string {
	names, _ := ctx.Value(contextKey{}).([]string)
	return names
}

// Strip removes the parameters with these names, as they are spelled, from a query, and leaves all other bytes unchanged.
// Delivery directives stay, because answers depend on them.
func Strip(query string, names []string) string {
	if !has(query, names) {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !is(pair, names) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func has(query string, names []string) bool {
	if len(names) == 0 || query == "" {
		return false
	}
	for pair := range strings.SplitSeq(query, "&") {
		if is(pair, names) {
			return true
		}
	}
	return false
}

// is reports whether "name" or "name=value" has one of these names.
func is(pair string, names []string) bool {
	name, _, _ := strings.Cut(pair, "=")
	return slices.Contains(names, name) && !hls.IsDirective(name)
}
