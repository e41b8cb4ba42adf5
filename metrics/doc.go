// Package metrics exports the numbers of the blocks of hlsproxy to Prometheus: of a cache.Transport, an origin.Pool, an
// audience.Audience and a cluster.Node. It is a module of its own, so that the blocks do not depend on a client of Prometheus.
//
//	numbers := metrics.New(metrics.Config{Cache: shared, Pool: pool, Audience: watch})
//	shared.OnFill = numbers.OnFill
//	watch.OnServed = numbers.OnServed
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(numbers)
//	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
package metrics
