package main

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
)

type options struct {
	addr, dir, key string
	public         string // "http://HOST", as players see this server
	ttl            time.Duration
	max            int64
}

func parse(args []string) (options, error) {
	o := options{max: 4 << 30}
	flags := flag.NewFlagSet("vod", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	flags.StringVar(&o.dir, "dir", "", "`DIR` of the films; all of it is served, and uploads are added to it")
	flags.Func("key", "`SECRET` of the links, and password of the page; with it only signed links work", func(s string) error {
		if o.key = s; s == "" {
			return errors.New("that is none: was a variable of the shell meant that is not set?")
		}
		return nil
	})
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.Func("max", "`SIZE` of an uploaded film at most (4GiB without it)", func(s string) (err error) {
		o.max, err = parseSize(s)
		return err
	})
	flags.Func("public", "`URL` at which players reach this server, without a path; interstitials need it beyond loopback", func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || s != u.Scheme+"://"+u.Host || u.Host == "" {
			return fmt.Errorf("%q is not like https://media.example.com", s)
		}
		o.public = s
		return nil
	})
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("what is %q?", flags.Arg(0))
	case o.dir == "":
		err = errors.New("-dir is needed")
	}
	return o, err
}

// newSigner stretches the key, since people choose passwords where 32 random bytes are meant.
func newSigner(o options) (*sign.Signer, error) {
	secret, err := pbkdf2.Key(sha256.New, o.key, []byte("hlsproxy links"), 100_000, 32)
	if err != nil {
		return nil, err
	}
	return sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: secret}}, TTL: o.ttl})
}

// escaped is the link to a path where links are not signed.
func escaped(path string) (string, error) { return (&url.URL{Path: path}).EscapedPath(), nil }

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

// sizeName says a size in the largest unit of which it is a whole number.
func sizeName(n int64) string {
	name := fmt.Sprint(n, " bytes")
	for _, u := range []struct {
		name string
		size int64
	}{{"KB", 1e3}, {"KiB", 1 << 10}, {"MB", 1e6}, {"MiB", 1 << 20}, {"GB", 1e9}, {"GiB", 1 << 30}, {"TB", 1e12}, {"TiB", 1 << 40}} {
		if n >= u.size && n%u.size == 0 {
			name = fmt.Sprint(n/u.size, " ", u.name)
		}
	}
	return name
}
