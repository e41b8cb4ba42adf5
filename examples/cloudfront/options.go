package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

type options struct {
	addr      string
	origin    string // with a final slash, like domain
	domain    string
	hosts     []string // of the origin, with its port: nothing else is reached
	ports     []uint16
	allow     []netip.Prefix
	root      *os.Root // nil: there is an origin
	keyPairID string
	key       crypto.Signer
	ttl       time.Duration
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("cloudfront", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	flags.StringVar(&o.origin, "origin", "", "`URL` of the playlists: CloudFront itself, or what it has them from")
	dir := flags.String("dir", "", "`DIR` of the playlists in place of an origin")
	flags.StringVar(&o.domain, "domain", "", "`URL` at CloudFront where the tree of the origin or the folder is (-origin without it)")
	flags.Func("allow", "`CIDR` that the origin may be at beyond the public addresses (repeatable)", func(s string) error {
		p, err := netip.ParsePrefix(s)
		o.allow = append(o.allow, p)
		return err
	})
	flags.StringVar(&o.keyPairID, "key-pair-id", "", "`ID` of the public key at CloudFront")
	keyFile := flags.String("key-file", "", "`FILE` of the private key, in PEM")
	flags.DurationVar(&o.ttl, "ttl", 6*time.Hour, "how long a signature is good for; longer than the film")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if *dir != "" && o.origin != "" {
		return o, errors.New("the playlists are at -origin or in -dir, not in both")
	}
	if o.domain == "" {
		o.domain = o.origin
	}
	if *dir != "" {
		o.origin = o.domain
	}
	if o.origin == "" {
		return o, errors.New("-origin is needed, or -dir and -domain")
	}
	if o.keyPairID == "" {
		return o, errors.New("-key-pair-id is needed")
	}
	return o, errors.Join(o.readKey(*keyFile), o.openDir(*dir), o.checkURLs())
}

func (o *options) openDir(dir string) (err error) {
	if dir != "" {
		o.root, err = os.OpenRoot(dir)
	}
	return err
}

func (o *options) checkURLs() error {
	for _, text := range []*string{&o.domain, &o.origin} {
		*text = strings.TrimSuffix(*text, "/") + "/"
		u, err := url.Parse(*text)
		if err != nil {
			return err
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if u.Port() == "" {
			port, err = map[string]uint64{"http": 80, "https": 443}[u.Scheme], nil
		}
		if err != nil || port == 0 || u.Hostname() == "" || u.RawQuery != "" {
			return fmt.Errorf("%q is not http://HOST[:PORT][/PATH], nor the same with https", *text)
		}
		o.hosts, o.ports = []string{u.Hostname()}, []uint16{uint16(port)}
	}
	return nil
}

// readKey takes what openssl and the console of CloudFront make: RSA or ECDSA, with and without PKCS #8.
func (o *options) readKey(file string) error {
	if file == "" {
		return errors.New("-key-file is needed")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s is not a key in PEM", file)
	}
	if !strings.HasSuffix(block.Type, "PRIVATE KEY") || strings.HasPrefix(block.Type, "ENCRYPTED") {
		return fmt.Errorf("%s holds a %s, where a private key in plain is needed", file, strings.ToLower(block.Type))
	}
	var key any
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var ok bool
	if o.key, ok = key.(crypto.Signer); !ok {
		return fmt.Errorf("%s holds a %T, which cannot sign", file, key)
	}
	return nil
}
