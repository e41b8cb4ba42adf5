package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

type options struct {
	addr        string
	origins     []string
	hosts       []string // of the origins, with their ports: nothing else is reached
	ports       []uint16
	allow       []netip.Prefix
	key         string
	ttl         time.Duration
	seal        bool
	links       []string
	cache       int64
	dir         string
	header      []string // passed on besides the usual fields, both ways
	cors        []string
	credentials bool
	public      string // "http://HOST", as players see this server
	static      fs.FS
}

func parse(args []string) (options, error) {
	o := options{static: player}
	flags := flag.NewFlagSet("live", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	flags.Func("origin", "`URL` of an origin (repeatable)", o.addOrigin)
	flags.Func("allow", "`CIDR` that origins may be at beyond the public addresses (repeatable)", func(s string) error {
		p, err := netip.ParsePrefix(s)
		o.allow = append(o.allow, p)
		return err
	})
	flags.Func("key", "`SECRET` of the links; with it only signed links work", func(s string) error {
		if o.key = s; s == "" {
			return errors.New("that is none: was a variable of the shell meant that is not set?")
		}
		return nil
	})
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.BoolVar(&o.seal, "seal", false, "hide in the links where a stream lies on its origin; needs -key, and such links do not expire")
	flags.Func("link", "`PATH` to print a link for (repeatable; /live/index.m3u8 and /live/master.m3u8 without it)", func(s string) error {
		if !strings.HasPrefix(s, "/live/") {
			return errors.New("that begins with /live/")
		}
		o.links = append(o.links, s)
		return nil
	})
	flags.Func("cache", "`SIZE` of the cache, such as 256MiB (none without it)", func(s string) (err error) {
		o.cache, err = parseSize(s)
		return err
	})
	flags.StringVar(&o.dir, "dir", "", "`DIR` to keep the cache in, so that it survives a restart; -cache says how large it may get")
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
	flags.Func("static", "`DIR` of pages to serve in place of the player", func(s string) error {
		root, err := os.OpenRoot(s)
		if err == nil {
			o.static = root.FS()
		}
		return err
	})
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("what is %q?", flags.Arg(0))
	case o.dir != "" && o.cache == 0:
		err = errors.New("-dir needs -cache")
	case o.origins == nil:
		err = errors.New("at least one -origin is needed")
	}
	if o.cors == nil {
		o.cors = []string{"*"}
	}
	if o.links == nil {
		o.links = []string{"/live/index.m3u8", "/live/master.m3u8"}
	}
	return o, err
}

func (o *options) addOrigin(s string) error {
	u, err := url.Parse(strings.TrimSuffix(s, "/") + "/")
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if u.Port() == "" {
		port, err = map[string]uint64{"http": 80, "https": 443}[u.Scheme], nil
	}
	if err != nil || port == 0 || u.Hostname() == "" {
		return errors.New("an origin is http://HOST[:PORT][/PATH], or the same with https")
	}
	o.origins = append(o.origins, u.String())
	o.hosts = append(o.hosts, u.Hostname())
	o.ports = append(o.ports, uint16(port))
	return nil
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
