package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type options struct {
	addr    string
	origin  string
	hosts   []string // of the origin, with its port: nothing else is reached
	ports   []uint16
	allow   []netip.Prefix
	ask     string // "": the backend inside
	node    string
	hold    time.Duration
	timeout time.Duration
	link    string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("auth", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	origin := flags.String("origin", "", "`URL` of the origin")
	flags.Func("allow", "`CIDR` that the origin may be at beyond the public addresses (repeatable)", func(s string) error {
		p, err := netip.ParsePrefix(s)
		o.allow = append(o.allow, p)
		return err
	})
	flags.StringVar(&o.ask, "ask", "", "`URL` of the backend (one inside without it)")
	flags.StringVar(&o.node, "node", "", "`NAME` by which the backend knows this server")
	flags.DurationVar(&o.hold, "hold", 5*time.Second, "how long an answer of the backend holds")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Second, "how long the backend may take")
	flags.StringVar(&o.link, "link", "/live/index.m3u8", "`PATH` of the first session of the backend inside")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, fmt.Errorf("what is %q?", flags.Arg(0))
	case o.hold <= 0 || o.timeout <= 0:
		return o, errors.New("-hold and -timeout are longer than nothing")
	}
	if o.ask != "" {
		if u, err := url.Parse(o.ask); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return o, errors.New("-ask is an http or https URL")
		}
	}
	return o, o.setOrigin(*origin)
}

func (o *options) setOrigin(s string) error {
	u, err := url.Parse(strings.TrimSuffix(s, "/") + "/")
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if u.Port() == "" {
		port, err = map[string]uint64{"http": 80, "https": 443}[u.Scheme], nil
	}
	if err != nil || port == 0 || u.Hostname() == "" {
		return errors.New("-origin is http://HOST[:PORT][/PATH], or the same with https")
	}
	o.origin, o.hosts, o.ports = u.String(), []string{u.Hostname()}, []uint16{uint16(port)}
	return nil
}
