package main

import (
	"errors"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	origins serve.Origins
	allow   []netip.Prefix
	cache   int64
	inside  string
	trace   bool
}

// parse reads the flags and listens for viewers.
func parse(args []string) (o options, ln serve.Listener, err error) {
	o.cache = 256 << 20
	flags := serve.NewFlags("watch")
	flags.Origins(&o.origins, "`URL` of an origin (repeatable)")
	flags.Allow(&o.allow, "`CIDR` that origins may be at beyond the public addresses")
	flags.Size(&o.cache, "cache", "`SIZE` of the cache; 256MiB without it")
	flags.StringVar(&o.inside, "inside", "localhost:9090", "`HOST:PORT` of /metrics, /sessions and /kick, which viewers must not reach")
	flags.BoolVar(&o.trace, "trace", false, "print the spans")
	if err = flags.Parse(args); err != nil {
		return o, ln, err
	}
	if o.origins == nil {
		return o, ln, errors.New("-origin is needed: the URL of an origin, such as http://origin.example")
	}
	ln, err = flags.Listen()
	return o, ln, err
}
