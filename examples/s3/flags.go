package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type options struct {
	endpoint       serve.Origin
	bucket, region string
	credentials    *credentials.Credentials
	key            serve.Key
	ttl            time.Duration
	max, cache     int64
	work           string // where films are converted
	public         string // "http://HOST", as players see this server
	edge           edgeOptions
}

// edgeOptions are the options of CloudFront. Without a domain it is not used.
type edgeOptions struct{ domain, keyPairID, keyFile string }

func parse(args []string) (o options, ln serve.Listener, err error) {
	o.max, o.cache = 4<<30, 256<<20
	flags := serve.NewFlags("s3")
	endpoint := flags.String("endpoint", "https://s3.amazonaws.com", "`URL` of the object store")
	flags.StringVar(&o.bucket, "bucket", "", "`NAME` of the bucket, which stays private")
	flags.StringVar(&o.region, "region", os.Getenv("AWS_REGION"), "`REGION` of the bucket ($AWS_REGION, or us-east-1, without it)")
	access := flags.String("access-key", "", "`ID` of the access key ($AWS_ACCESS_KEY_ID without it)")
	secret := flags.String("secret-key", "", "`SECRET` of the access key ($AWS_SECRET_ACCESS_KEY without it, which the list of processes does not show)")
	flags.Key(&o.key, "`SECRET` of the links, and password of the page")
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a link works")
	flags.Size(&o.max, "max", "`SIZE` of an uploaded film at most (4GiB without it)")
	flags.Size(&o.cache, "cache", "`SIZE` of the cache (256MiB without it)")
	flags.StringVar(&o.work, "work", "", "`DIR` that films are converted in (one in the user's cache folder without it)")
	flags.Public(&o.public)
	flags.StringVar(&o.edge.domain, "cloudfront-domain", "", "`URL` of the CloudFront distribution in front of the bucket")
	flags.StringVar(&o.edge.keyPairID, "cloudfront-key-pair-id", "", "`ID` of its public key")
	flags.StringVar(&o.edge.keyFile, "cloudfront-key-file", "", "`FILE` of its private key, in PEM")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if !strings.Contains(*endpoint, "://") {
		*endpoint = "https://" + *endpoint
	}
	if o.endpoint, err = serve.ParseOrigin(*endpoint); err != nil || strings.Count(o.endpoint.URL, "/") > 3 {
		return o, ln, fmt.Errorf("-endpoint %q: give http://HOST[:PORT] or https://HOST[:PORT], without the bucket", *endpoint)
	}
	if o.region == "" {
		o.region = "us-east-1"
	}
	switch {
	case o.bucket == "":
		return o, ln, errors.New("-bucket is needed: the name of the bucket")
	case o.key == "":
		return o, ln, errors.New("-key is needed, or -key-file or $HLSPROXY_KEY: without it everybody could play what the bucket keeps private")
	case (*access == "") != (*secret == ""):
		return o, ln, errors.New("give -access-key and -secret-key, or neither and $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY")
	case *access != "":
		o.credentials = credentials.NewStaticV4(*access, *secret, "")
	default:
		o.credentials = credentials.NewEnvAWS()
	}
	if v, err := o.credentials.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
		return o, ln, errors.New("an access key is needed: -access-key and -secret-key, or $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY")
	}
	if given := o.edge; (given != edgeOptions{}) && (given.domain == "" || given.keyPairID == "" || given.keyFile == "") {
		return o, ln, errors.New("CloudFront needs -cloudfront-domain, -cloudfront-key-pair-id and -cloudfront-key-file")
	}
	if err := o.openWork(); err != nil {
		return o, ln, err
	}
	if ln, err = flags.Listen(); err == nil && o.public == "" && ln.Local() {
		o.public = ln.URL()
	}
	return o, ln, err
}

// openWork makes the folder in which films are converted. A restart uses the same folder, and clears it.
func (o *options) openWork() error {
	if o.work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("-work is needed: %w", err)
		}
		o.work = filepath.Join(cache, "hlsproxy-s3", o.bucket)
	}
	if err := os.MkdirAll(o.work, 0o700); err != nil {
		return fmt.Errorf("-work %q: give a folder that can be written: %w", o.work, err)
	}
	return nil
}
