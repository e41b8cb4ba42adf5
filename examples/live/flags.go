package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	self        netip.AddrPort // the address of this server
	origins     serve.Origins  // nothing else is reached
	allow       []netip.Prefix
	key         serve.Key
	ttl         time.Duration
	seal        bool
	links       []string
	cache       int64
	dir         string
	header      []string // header fields to pass on, besides the usual ones, in both directions
	cors        []string
	credentials bool
	public      string // "http://HOST", as players see this server
	static      fs.FS  // nil: the player
	kick        bool   // the page can end sessions
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("live")
	flags.Origins(&o.origins, "`URL` of an origin (repeatable)")
	flags.Allow(&o.allow, "`CIDR` that origins may be at beyond the public addresses")
	flags.Key(&o.key, "`SECRET` of the links; with it only signed links work")
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.BoolVar(&o.seal, "seal", false, "hide in the links where a stream lies on its origin; needs -key, and such links do not expire")
	flags.Func("link", "`PATH` to print a link for (repeatable; /live/index.m3u8 and /live/master.m3u8 without it)", func(s string) error {
		if !strings.HasPrefix(s, "/live/") {
			return errors.New("a path begins with /live/, such as /live/index.m3u8")
		}
		o.links = append(o.links, s)
		return nil
	})
	flags.Size(&o.cache, "cache", "`SIZE` of the cache, such as 256MiB (none without it)")
	flags.StringVar(&o.dir, "dir", "", "`DIR` to keep the cache in, so that it survives a restart; -cache says how large it may get")
	flags.Strings(&o.header, "header", "`NAME` of a field to pass on, in requests and in answers; if answers depend on it, their Vary must say so")
	flags.Strings(&o.cors, "cors", "`ORIGIN` of the pages that may play, any page without it")
	flags.Public(&o.public)
	flags.BoolVar(&o.credentials, "credentials", false, "let pages send cookies; needs -cors")
	flags.BoolVar(&o.kick, "kick", false, "list the sessions on the page, with a button that ends one; only on a loopback address, and not behind a proxy")
	static := flags.String("static", "", "`DIR` of pages to serve in place of the player")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	switch {
	case o.dir != "" && o.cache == 0:
		return o, ln, fmt.Errorf("-dir %q needs -cache SIZE: how large it may get", o.dir)
	case o.seal && o.key == "":
		return o, ln, errors.New("-seal needs -key")
	case o.origins == nil:
		return o, ln, errors.New("-origin is needed: the URL of an origin, such as http://origin.example")
	}
	if *static != "" {
		root, err := os.OpenRoot(*static)
		if err != nil {
			return o, ln, fmt.Errorf("-static %q: %w", *static, err)
		}
		o.static = root.FS()
	}
	if o.cors == nil {
		o.cors = []string{"*"}
	}
	if o.links == nil {
		o.links = []string{"/live/index.m3u8", "/live/master.m3u8"}
	}
	if ln, err = flags.Listen(); err != nil {
		return o, ln, err
	}
	if o.kick && !ln.Local() {
		ln.Close()
		return o, ln, errors.New("-kick needs an -addr on loopback: everybody who reaches the page can end sessions")
	}
	o.self = ln.Self()
	if o.public == "" && ln.Local() {
		o.public = ln.URL()
	}
	return o, ln, nil
}

// store opens the store of the cache. It is nil without -cache and -dir. Call close at the end.
func (o options) store() (store cache.Store, close func() error, err error) {
	switch {
	case o.dir != "":
		dir, err := cache.NewDir(o.dir, o.cache)
		if err != nil {
			return nil, nil, err
		}
		return dir, dir.Close, nil
	case o.cache > 0:
		store = cache.NewMemory(o.cache)
	}
	return store, func() error { return nil }, nil
}
