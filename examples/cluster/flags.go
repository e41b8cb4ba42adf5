package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/valkey-io/valkey-go"
)

type options struct {
	viewers, nodes serve.Listener
	self           string // where other nodes reach this one
	directory      cluster.Directory
	origins        serve.Origins // nothing else is reached
	allow          []netip.Prefix
	cache          int64
	secret         []byte
}

func parse(args []string) (o options, err error) {
	var (
		members []string
		flags   = serve.NewFlags("cluster")
		node    = flags.String("node", "127.0.0.1:8081", "`HOST:PORT` to listen on for other nodes, which reach this one there")
		engine  = flags.String("engine", "", "`URL` of a Valkey or Redis, such as redis://HOST:6379")
		secret  = flags.String("secret", "", "`TEXT` that all nodes share and nobody else knows")
	)
	flags.Strings(&members, "member", "`URL` of a node, where there is no -engine; dns://NAME:PORT is one at each address of a name")
	flags.Origins(&o.origins, "`URL` of an origin (repeatable)")
	flags.Allow(&o.allow, "`CIDR` that origins may be at beyond the public addresses")
	o.cache = 256 << 20
	flags.Size(&o.cache, "cache", "`SIZE` of the cache in memory (256MiB without it)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.origins == nil:
		return o, errors.New("-origin is needed: the URL of an origin, such as http://origin.example")
	case *engine != "" && members != nil:
		return o, errors.New("-member is for nodes without -engine, which knows them itself")
	case *secret == "" && (*engine != "" || members != nil):
		return o, errors.New("-secret is needed: a text that all nodes share")
	}
	if *secret == "" {
		*secret = "nobody else is there"
	}
	// Stretched, because people choose passwords instead of 32 random bytes.
	if o.secret, err = pbkdf2.Key(sha256.New, *secret, []byte("hlsproxy nodes"), 100_000, 32); err != nil {
		return o, err
	}
	if o.nodes, err = serve.Listen("node", *node); err != nil {
		return o, err
	}
	if o.self, err = address(*node, o.nodes); err == nil {
		err = o.direct(*engine, members)
	}
	if err == nil {
		o.viewers, err = flags.Listen()
	}
	if err != nil {
		o.nodes.Close()
	}
	return o, err
}

// address is where others reach a listener. It uses the given host, because the others may know only a name.
func address(given string, ln serve.Listener) (string, error) {
	host, _, err := net.SplitHostPort(given)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return "", fmt.Errorf("-node %q: give the address at which other nodes reach this one, such as 10.0.0.1:9000", given)
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(ln.Self().Port()))), nil
}

// direct chooses the directory.
func (o *options) direct(engine string, members []string) error {
	if engine != "" {
		option, err := valkey.ParseURL(engine)
		if err != nil {
			return fmt.Errorf("-engine %q: write redis://HOST:PORT", engine)
		}
		o.directory = cluster.Connect(option, "hlsproxy")
		return nil
	}
	if members == nil {
		members = []string{o.self}
	}
	var lists []func(context.Context) ([]string, error)
	for _, m := range members {
		u, err := url.Parse(m)
		switch {
		case err == nil && u.Scheme == "dns" && u.Port() != "" && u.Path == "":
			lists = append(lists, cluster.DNS("http://"+u.Host, nil))
		case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "":
			lists = append(lists, cluster.Static(u.Scheme+"://"+u.Host))
		default:
			return fmt.Errorf("-member %q: a node is http://HOST:PORT", m)
		}
	}
	o.directory = cluster.Rendezvous(func(ctx context.Context) (all []string, err error) {
		for _, list := range lists {
			some, err := list(ctx)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		slices.Sort(all)
		return slices.Compact(all), nil
	})
	return nil
}
