// Package origin is the whole upstream side of a proxy.
//
//   - [Guard] decides which hosts and addresses may be reached, on the address that is really dialled.
//   - [Pool] spreads streams over several origins and moves them on when one fails.
//   - [Proxy] is the [net/http.Handler] that turns a viewer's request into one upstream, and the answer back.
//
// Each stands alone: Guard gives a transport or a hook for any [net.Dialer], Pool is an [net/http.RoundTripper], and
// Proxy takes any RoundTripper. Together:
//
//	guard, err := origin.NewGuard(origin.GuardConfig{})
//	pool, err := origin.NewPool(origin.PoolConfig{Origins: origins, Base: guard.Transport()})
//	proxy := &origin.Proxy{Upstream: upstream, Transport: pool}
//
// A cache belongs between Proxy and Pool: above the pool, so that moving to another origin does not split its keys.
package origin
