package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type options struct {
	addr        string
	allow       []netip.Prefix
	hosts       []string
	key         string
	ttl         time.Duration
	cache       int64
	header      []string // passed on besides the usual fields, both ways
	cors        []string
	credentials bool
	public      string // "http://HOST", as players see this server
	open        bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("corsproxy", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	flags.Func("allow", "`CIDR` to reach beyond the public addresses (repeatable)", func(s string) error {
		p, err := netip.ParsePrefix(s)
		o.allow = append(o.allow, p)
		return err
	})
	flags.Func("host", "`PATTERN` of hosts to reach, such as *.example.com (repeatable; any host without it)", func(s string) error {
		name := strings.TrimPrefix(s, "*.")
		if _, err := netip.ParseAddr(name); err != nil && (name == "" || strings.ContainsAny(name, "*:/")) {
			return errors.New("that is a name or *.NAME, without a scheme and without a port")
		}
		o.hosts = append(o.hosts, s)
		return nil
	})
	flags.Func("key", "`SECRET` of the links; with it only signed links work", func(s string) error {
		if o.key = s; s == "" {
			return errors.New("that is none: was a variable of the shell meant that is not set?")
		}
		return nil
	})
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.Func("cache", "`SIZE` of the cache, such as 256MiB (none without it)", func(s string) (err error) {
		o.cache, err = parseSize(s)
		return err
	})
	flags.Func("header", "`NAME` of a field to pass on, in requests and in answers (repeatable); if answers depend on it, their Vary must say so", func(s string) error {
		o.header = append(o.header, s)
		return nil
	})
	flags.Func("cors", "`ORIGIN` of the pages that may play (repeatable; any page without it)", func(s string) error {
		o.cors = append(o.cors, s)
		return nil
	})
	flags.Func("public", "`URL` at which players reach this server, without a path; interstitials need it beyond loopback", func(s string) error {
		u, err := url.Parse(s)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != s) {
			err = errors.New("that is http://HOST[:PORT], or the same with https")
		}
		o.public = s
		return err
	})
	flags.BoolVar(&o.credentials, "credentials", false, "let pages send cookies; needs -cors")
	flags.BoolVar(&o.open, "open", false, "be an open proxy, beyond loopback too")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if o.cors == nil {
		o.cors = []string{"*"}
	}
	return o, err
}

// parseSize reads 500MB, 256MiB, 1GiB or plain bytes.
func parseSize(s string) (int64, error) {
	units := map[string]int64{
		"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
	number := strings.TrimRight(s, "BKMGTi")
	n, err := strconv.ParseInt(number, 10, 64)
	unit, known := units[s[len(number):]]
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size such as 500MB, 256MiB or 1GiB", s)
	}
	return n * unit, nil
}
