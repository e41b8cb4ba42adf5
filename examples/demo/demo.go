package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
)

// demo is everything that runs: two origins, the chain in front of them, and the means to break them.
type demo struct {
	origins []*originServer
	up      *upstream
	past    *bypass
	links   *links
	meter   *meter
	crowd   *crowd
}

// newDemo starts two origins, each of which answers with live.
func newDemo(live http.Handler) (*demo, error) {
	d := &demo{}
	for _, name := range []string{"A", "B"} {
		o := &originServer{name: name}
		o.handler = o.traffic.count(live)
		d.origins = append(d.origins, o)
	}
	var err error
	if d.up, err = d.startOrigins(); err != nil {
		return nil, errors.Join(err, d.close(context.Background()))
	}
	if d.links, err = newLinks(); err != nil {
		return nil, errors.Join(err, d.close(context.Background()))
	}
	d.past = &bypass{cached: d.up.shared, direct: d.up.pool}
	d.meter = newMeter(d.up.shared.Stats, d.fromOrigins)
	d.crowd = newCrowd(3 * time.Second)
	return d, nil
}

// startOrigins chooses addresses with which the pool takes picture and sound of the stream from different origins, so that a
// killed origin is missed.
func (d *demo) startOrigins() (*upstream, error) {
	for {
		var urls []string
		for _, o := range d.origins {
			if err := o.start(); err != nil {
				return nil, err
			}
			urls = append(urls, "http://"+o.address)
		}
		chosen := map[string]bool{}
		trial, err := origin.NewPool(origin.PoolConfig{Origins: urls, Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			chosen[r.URL.Host] = true
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
		})})
		if err != nil {
			return nil, err
		}
		for _, name := range []string{variants[0].name, audio} {
			r, err := http.NewRequest(http.MethodGet, urls[0]+"/live/"+name+"/index.m3u8", nil)
			if err != nil {
				return nil, err
			}
			if _, err = trial.RoundTrip(r); err != nil {
				return nil, err
			}
		}
		if len(chosen) == len(urls) {
			return newUpstream(urls)
		}
		d.origins[1].kill()
		d.origins[1].address = ""
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip is that of http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// close ends the origins. Running answers may finish until ctx ends.
func (d *demo) close(ctx context.Context) (err error) {
	for _, o := range d.origins {
		err = errors.Join(err, o.stop(ctx))
	}
	return err
}

// fromOrigins adds up the requests to all origins.
func (d *demo) fromOrigins() (sum counts) {
	for _, o := range d.origins {
		sum = sum.plus(o.traffic.counts())
	}
	return sum
}

// bypass is the page's switch between the cache and the layer below it. Without a page, use the cache directly.
type bypass struct {
	cached, direct http.RoundTripper
	off            atomic.Bool
}

// RoundTrip is that of http.RoundTripper.
func (b *bypass) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.off.Load() {
		return b.direct.RoundTrip(r)
	}
	return b.cached.RoundTrip(r)
}
