// Package origin is the whole upstream side of a proxy.
//
//	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: []string{"a.example", "b.example"}})
//	if err != nil {
//		return err
//	}
//	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{"https://a.example", "https://b.example"}, Base: guard.Transport()})
//	if err != nil {
//		return err
//	}
//	mux.Handle("/live/", &origin.Proxy{Upstream: mapper.Upstream, Transport: pool})
//
// It has these parts:
//
//   - [Guard] decides which hosts and addresses may be reached, on the address that is really dialled.
//   - [Pool] spreads streams over several origins and moves them on when one fails.
//   - [Proxy] is the [net/http.Handler] that turns a viewer's request into one upstream, and the answer back.
//   - [WithHeader] and [Trim] stand between them: they change requests and answers.
//
// Each can be used alone: Guard gives a transport or a hook for any [net.Dialer], Pool is a [net/http.RoundTripper], and Proxy
// takes any RoundTripper.
//
// A cache belongs between Proxy and Pool: above the pool, so that a switch to another origin does not split its keys.
package origin
