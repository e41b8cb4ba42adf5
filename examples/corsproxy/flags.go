package main

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
)

type options struct {
	self        netip.AddrPort // the address of this server
	allow       []netip.Prefix
	hosts       []string
	ports       []string // nil: 80 and 443
	via         *url.URL // nil: no proxy
	insecure    []string // hosts
	wait        time.Duration
	maxPlaylist int64
	noVia       bool
	downgrade   bool
	trim        bool
	key         serve.Key
	ttl         time.Duration
	cache       int64
	header      []string // header fields to pass on, besides the usual ones, in both directions
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
	flags.Func("port", "`PORT` to reach, such as 8080, 8000-8999 or all (repeatable; 80 and 443 without it)", func(s string) error {
		if _, err := origin.NewGuard(origin.GuardConfig{Ports: []string{s}}); err != nil {
			return errors.New("a port is 8080, a range 8000-8999, and any is all; ports of mail, databases and the like are named one by one")
		}
		o.ports = append(o.ports, s)
		return nil
	})
	flags.Func("via-proxy", "`URL` of a proxy to reach all through, such as socks5://127.0.0.1:1080", func(s string) (err error) {
		o.via, err = url.Parse(s)
		if err == nil {
			_, err = origin.NewGuard(origin.GuardConfig{Via: o.via})
		}
		if err != nil {
			return errors.New("a proxy is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the host if it wants them")
		}
		return nil
	})
	flags.Strings(&o.insecure, "insecure", "`HOST` whose certificate is not checked")
	flags.DurationVar(&o.wait, "wait", 0, "how long an origin may take for the header of an answer, and between two parts of a body (10s without it)")
	flags.Size(&o.maxPlaylist, "max-playlist", "`SIZE` of a playlist at most (8MiB without it)")
	flags.BoolVar(&o.noVia, "no-via", false, "do not tell origins that there is a proxy: some refuse it")
	flags.BoolVar(&o.downgrade, "downgrade", false, "follow redirects from https to http")
	flags.BoolVar(&o.trim, "trim", false, "take off what stands in front of MPEG-TS, such as a picture before each segment")
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
