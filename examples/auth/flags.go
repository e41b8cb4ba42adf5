package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	origins serve.Origins // exactly one
	allow   []netip.Prefix
	ask     string // "": the backend inside
	node    string
	hold    time.Duration
	timeout time.Duration
	link    string
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("auth")
	flags.Origins(&o.origins, "`URL` of the origin")
	flags.Allow(&o.allow, "`CIDR` that the origin may be at beyond the public addresses")
	flags.Func("ask", "`URL` of the backend (one inside without it)", func(s string) error {
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("a backend is an http or https URL, such as https://backend.example/hls")
		}
		o.ask = s
		return nil
	})
	flags.StringVar(&o.node, "node", "", "`NAME` by which the backend knows this server")
	flags.DurationVar(&o.hold, "hold", 5*time.Second, "how long an answer of the backend holds")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Second, "how long the backend may take")
	flags.StringVar(&o.link, "link", "/live/index.m3u8", "`PATH` of the first session of the backend inside")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	switch {
	case len(o.origins) != 1:
		err = errors.New("-origin is needed, once: the URL of the origin, such as https://origin.example")
	case o.hold <= 0:
		err = fmt.Errorf("-hold %v: give a time above 0, such as 5s", o.hold)
	case o.timeout <= 0:
		err = fmt.Errorf("-timeout %v: give a time above 0, such as 3s", o.timeout)
	default:
		ln, err = flags.Listen()
	}
	return o, ln, err
}
