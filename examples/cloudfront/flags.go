package main

import (
	"crypto"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	origin    serve.Origin // of the playlists: nothing else is reached
	domain    string       // with a final slash
	allow     []netip.Prefix
	root      *os.Root // nil: there is an origin
	keyPairID string
	key       crypto.Signer
	ttl       time.Duration
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("cloudfront")
	origin := flags.String("origin", "", "`URL` of the playlists: CloudFront itself, or what it has them from")
	dir := flags.String("dir", "", "`DIR` of the playlists in place of an origin")
	domain := flags.String("domain", "", "`URL` at CloudFront where the tree of the origin or the folder is (-origin without it)")
	flags.Allow(&o.allow, "`CIDR` that the origin may be at beyond the public addresses")
	flags.StringVar(&o.keyPairID, "key-pair-id", "", "`ID` of the public key at CloudFront")
	keyFile := flags.String("key-file", "", "`FILE` of the private key, in PEM")
	flags.DurationVar(&o.ttl, "ttl", 6*time.Hour, "how long a signature is good for; longer than the film")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if o.keyPairID == "" {
		return o, ln, errors.New("-key-pair-id is needed: the ID of the public key at CloudFront")
	}
	if *keyFile == "" {
		return o, ln, errors.New("-key-file is needed: the FILE of the private key")
	}
	if o.key, err = serve.ReadPrivateKey(*keyFile); err != nil {
		return o, ln, fmt.Errorf("-key-file: %w", err)
	}
	if err := o.setPlaces(*origin, *domain, *dir); err != nil {
		return o, ln, err
	}
	if *dir != "" {
		if o.root, err = os.OpenRoot(*dir); err != nil {
			return o, ln, fmt.Errorf("-dir %q: %w", *dir, err)
		}
	}
	if ln, err = flags.Listen(); err != nil && o.root != nil {
		o.root.Close()
	}
	return o, ln, err
}

func (o *options) setPlaces(origin, domain, dir string) error {
	switch {
	case dir != "" && origin != "":
		return errors.New("the playlists are at -origin or in -dir, not in both")
	case dir != "" && domain == "":
		return errors.New("-dir needs -domain: the URL at CloudFront where the folder is")
	case dir != "":
		origin = domain
	case origin == "":
		return errors.New("-origin is needed, or -dir and -domain")
	case domain == "":
		domain = origin
	}
	there, err := serve.ParseOrigin(domain)
	if err != nil {
		return fmt.Errorf("-domain %q: %w", domain, err)
	}
	if o.origin, err = serve.ParseOrigin(origin); err != nil {
		return fmt.Errorf("-origin %q: %w", origin, err)
	}
	o.domain = there.URL
	return nil
}
