package main

import (
	"errors"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

type options struct {
	folder *films.Folder
	key    serve.Key
	ttl    time.Duration
	public string // "http://HOST", as players see this server
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("vod")
	dir := flags.String("dir", "", "`DIR` of the films; all of it is served")
	flags.Key(&o.key, "`SECRET` of the links, and password of the page; with it only signed links work")
	flags.DurationVar(&o.ttl, "ttl", 12*time.Hour, "how long a signed link works")
	flags.Public(&o.public)
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if *dir == "" {
		return o, ln, errors.New("-dir is needed: the folder of the films")
	}
	if o.folder, err = films.Open(*dir); err != nil {
		return o, ln, err
	}
	if ln, err = flags.Listen(); err == nil && o.public == "" && ln.Local() {
		o.public = ln.URL()
	}
	return o, ln, err
}
