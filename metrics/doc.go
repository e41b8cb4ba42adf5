// Package metrics shows Prometheus what the blocks of hlsproxy do: a cache.Transport, an origin.Pool, an
// audience.Audience and a cluster.Node. It is a module of its own, so that the blocks need no client of Prometheus.
package metrics
