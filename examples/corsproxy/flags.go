package main

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	self        netip.AddrPort // what the proxy is served on
	allow       []netip.Prefix
	hosts       []string
	key         serve.Key
	ttl         time.Duration
	cache       int64
	header      []string // passed on besides the usual fields, both ways
	cors        []string
	credentials bool
	public      string // "http://HOST", as players see this server
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("corsproxy")
	flags.Allow(&o.allow, "`CIDR` to reach beyond the public addresses")
	flags.Func("host", "`PATTERN` of hosts to reach, such as *.example.com (repeatable; any host without it)", func(s string) error {
		name := strings.TrimPrefix(s, "*.")
		if _, err := netip.ParseAddr(name); err != nil && (name == "" || strings.ContainsAny(name, "*:/")) {
			return errors.New("a host is NAME or *.NAME, without a scheme and without a port")
		}
		o.hosts = append(o.hosts, s)
		return nil
	})
	flags.Key(&o.key, "`SECRET` of the links; with it only signed links work")
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.Size(&o.cache, "cache", "`SIZE` of the cache, such as 256MiB (none without it)")
	flags.Strings(&o.header, "header", "`NAME` of a field to pass on, in requests and in answers; if answers depend on it, their Vary must say so")
	flags.Strings(&o.cors, "cors", "`ORIGIN` of the pages that may play, any page without it")
	flags.Public(&o.public)
	flags.BoolVar(&o.credentials, "credentials", false, "let pages send cookies; needs -cors")
	open := flags.Bool("open", false, "be an open proxy, beyond loopback too")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if o.cors == nil {
		o.cors = []string{"*"}
	}
	if ln, err = flags.Listen(); err != nil {
		return o, ln, err
	}
	o.self = ln.Self()
	if !ln.Local() && o.key == "" && o.hosts == nil && !*open {
		ln.Close()
		return o, ln, errors.New("listening beyond loopback needs -key or -host; -open if it is to be an open proxy")
	}
	if o.public == "" && ln.Local() {
		o.public = ln.URL()
	}
	return o, ln, nil
}
