// Command watch is examples/live for the operator: besides the streams it serves /metrics for Prometheus, GET /sessions and
// POST /kick?session=ID on an address of its own, and makes OpenTelemetry spans of the work of viewers, cache and origins.
//
//	go run . -origin http://a.example -inside localhost:9090 -trace
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/metrics"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/sync/errgroup"
)

func main() { serve.Main(run) }

// newHandlers are the chain for viewers, and the pages for the operator. Neither origins nor viewers learn about traces, and a
// viewer's trace fields are not trusted.
func newHandlers(o options, self netip.AddrPort, spans *sdk.TracerProvider) (live, inside http.Handler, err error) {
	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: o.origins.Hosts(), Allow: o.allow, Ports: o.origins.Ports(), Self: []netip.AddrPort{self}})
	if err != nil {
		return nil, nil, err
	}
	traced := func(name string) []otelhttp.Option {
		return []otelhttp.Option{
			otelhttp.WithTracerProvider(spans), otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
			otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return name }),
		}
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: o.origins.URLs(), Base: otelhttp.NewTransport(guard.Transport(), traced("origin")...)})
	if err != nil {
		return nil, nil, err
	}
	tree, err := rewrite.Prefix("/live/", o.origins[0].URL, o.origins[1:].URLs()...)
	if err != nil {
		return nil, nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, nil, err
	}
	shared, watch := &cache.Transport{Base: pool, Store: cache.NewMemory(o.cache)}, &audience.Audience{}
	numbers := metrics.New(metrics.Config{Cache: shared, Pool: pool, Audience: watch})
	shared.OnFill, watch.OnServed = numbers.OnFill, numbers.OnServed
	playlists := &rewrite.Rewriter{Map: tree, Unmapped: rewrite.DropUnmapped}
	proxy := &origin.Proxy{
		Upstream: tree.Upstream, Transport: asked{shared, spans.Tracer("hlsproxy")},
		ModifyResponse: playlists.ModifyResponse, OnFailure: watch.OnFailure,
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(watch.Handler(otelhttp.NewHandler(rangeserve.Handler(proxy), "", traced("viewer")...))))
	return mux, operator(watch, numbers), nil
}

// run serves viewers and the operator until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	private, err := serve.Listen("inside", o.inside)
	if err != nil {
		return err
	}
	defer private.Close()
	spans := sdk.NewTracerProvider()
	if o.trace {
		to, err := stdouttrace.New(stdouttrace.WithWriter(out))
		if err != nil {
			return err
		}
		spans.RegisterSpanProcessor(redacted{sdk.NewBatchSpanProcessor(to)})
	}
	defer spans.Shutdown(context.WithoutCancel(ctx))
	live, inside, err := newHandlers(o, ln.Self(), spans)
	if err != nil {
		return err
	}
	if private.Local() {
		inside = serve.OnLoopback(inside)
	}
	fmt.Fprintf(out, "listening on %s\nmetrics at %s/metrics\n", ln.URL(), private.URL())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve.Run(ctx, ln, live) })
	g.Go(func() error { return serve.Run(ctx, private, inside) })
	return g.Wait()
}
