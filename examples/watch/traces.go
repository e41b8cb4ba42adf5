package main

import (
	"net/http"
	"slices"

	"github.com/hlsproxy/hlsproxy/audience"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// asked makes a span of each request to the cache. otelhttp.NewTransport could do that, but it wraps the body, which then no
// longer goes out in large writes.
type asked struct {
	cache  http.RoundTripper
	tracer trace.Tracer
}

func (a asked) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := a.tracer.Start(r.Context(), "cache")
	defer span.End()
	resp, err := a.cache.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return nil, err
	}
	span.SetAttributes(attribute.String("cache.status", resp.Header.Get("Cache-Status")))
	return resp, nil
}

// redacted passes spans on without the queries and tokens in their URLs.
type redacted struct{ sdk.SpanProcessor }

func (r redacted) OnEnd(s sdk.ReadOnlySpan) { r.SpanProcessor.OnEnd(redactedSpan{s}) }

type redactedSpan struct{ sdk.ReadOnlySpan }

func (s redactedSpan) Attributes() []attribute.KeyValue {
	all := slices.Clone(s.ReadOnlySpan.Attributes())
	for i, a := range all {
		if a.Key == "url.full" || a.Key == "url.path" {
			all[i] = a.Key.String(audience.RedactURL(a.Value.AsString()))
		}
	}
	return all
}

func (s redactedSpan) Status() sdk.Status {
	out := s.ReadOnlySpan.Status()
	out.Description = audience.RedactText(out.Description)
	return out
}
