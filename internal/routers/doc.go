// Package routers mounts the chain in routers other than net/http's, as docs/routers.md says, and plays through each. It has
// only tests. It is a module of its own, so that nobody else needs the routers.
package routers
