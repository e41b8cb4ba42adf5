package main

import (
	"errors"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	dir    string
	folder *films.Folder
	key    serve.Key
	ttl    time.Duration
	max    int64
	public string // "http://HOST", as players see this server
	local  bool   // only this machine can reach the server
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	o.max = 4 << 30
	flags := serve.NewFlags("upload")
	flags.StringVar(&o.dir, "dir", "", "`DIR` of the films; all of it is served, and uploads are added to it")
	flags.Key(&o.key, "`SECRET` of the links, and password of the page; with it only signed links work")
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.Size(&o.max, "max", "`SIZE` of an uploaded film at most (4GiB without it)")
	flags.Public(&o.public)
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if o.dir == "" {
		return o, ln, errors.New("-dir is needed: the folder of the films")
	}
	if o.folder, err = films.Open(o.dir); err != nil {
		return o, ln, err
	}
	if ln, err = flags.Listen(); err != nil {
		return o, ln, err
	}
	if o.local = ln.Local(); o.local && o.public == "" {
		o.public = ln.URL()
	}
	return o, ln, nil
}
