package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// crowd is a number of simulated viewers: each plays a picture and a sound rendition in real time over HTTP and throws
// the bytes away. They differ in their User-Agent, by which the demo counts viewers.
type crowd struct {
	master string        // the multivariant playlist's URL
	size   int           // viewers
	ramp   time.Duration // over which they arrive
	failed func(error)   // is told of each failed request; a viewer then starts over, as players do
}

// run plays until ctx ends and every viewer has left.
func (c *crowd) run(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: c.size, IdleConnTimeout: 30 * time.Second}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var all sync.WaitGroup
	for i := range c.size {
		v := &viewer{client: client, name: fmt.Sprintf("demo-viewer/%d", i+1), quality: i}
		all.Go(func() {
			for ok := wait(ctx, time.Duration(i)*c.ramp/time.Duration(c.size)); ok; ok = wait(ctx, time.Second) {
				if err := v.watch(ctx, c.master); ctx.Err() == nil {
					c.failed(err)
				}
			}
		})
	}
	all.Wait()
}

// viewer is one simulated player.
type viewer struct {
	client  *http.Client
	name    string
	quality int // which variant, modulo their number
}

// watch returns when something failed or ctx ended.
func (v *viewer) watch(ctx context.Context, master string) error {
	renditions, err := v.choose(ctx, master)
	if err != nil {
		return err
	}
	for {
		began, pause := time.Now(), time.Duration(0)
		for _, r := range renditions {
			if pause, err = v.follow(ctx, r); err != nil {
				return err
			}
		}
		if !wait(ctx, time.Until(began.Add(pause))) {
			return ctx.Err()
		}
	}
}

// rendition is where a viewer is in one media playlist.
type rendition struct {
	playlist *url.URL
	begun    bool
	next     uint64 // the sequence number it plays next
}

// choose reads the multivariant playlist and picks one variant with its sound.
func (v *viewer) choose(ctx context.Context, master string) ([]*rendition, error) {
	base, err := url.Parse(master)
	if err != nil {
		return nil, err
	}
	list, err := v.playlist(ctx, base)
	if err != nil {
		return nil, err
	}
	p, ok := list.(*m3u8.MasterPlaylist)
	if !ok || len(p.Variants) == 0 {
		return nil, fmt.Errorf("%s is no multivariant playlist", master)
	}
	variant := p.Variants[v.quality%len(p.Variants)]
	uris := []string{variant.URI}
	for _, alt := range p.GetAllAlternatives() {
		if alt.GroupId == variant.Audio && alt.Default {
			uris = append(uris, alt.URI)
		}
	}
	var renditions []*rendition
	for _, uri := range uris {
		u, err := base.Parse(uri)
		if err != nil {
			return nil, err
		}
		renditions = append(renditions, &rendition{playlist: u})
	}
	return renditions, nil
}

// follow loads a media playlist and what is new in it, and says how long to wait before the next look: a target
// duration, or half of one when nothing had changed (RFC 8216 section 6.3.4).
func (v *viewer) follow(ctx context.Context, r *rendition) (time.Duration, error) {
	list, err := v.playlist(ctx, r.playlist)
	if err != nil {
		return 0, err
	}
	p, ok := list.(*m3u8.MediaPlaylist)
	if !ok {
		return 0, fmt.Errorf("%s is no media playlist", r.playlist)
	}
	target := time.Duration(p.TargetDuration) * time.Second
	segments := p.GetAllSegments()
	end := p.SeqNo + uint64(len(segments))
	if !r.begun {
		// Three target durations from the end, where the draft has players start.
		r.begun, r.next = true, end-min(3, uint64(len(segments)))
		if p.Map != nil {
			if err := v.fetch(ctx, r.playlist, p.Map.URI); err != nil {
				return 0, err
			}
		}
	}
	if r.next >= end {
		return target / 2, nil
	}
	for r.next = max(r.next, p.SeqNo); r.next < end; r.next++ {
		if err := v.fetch(ctx, r.playlist, segments[r.next-p.SeqNo].URI); err != nil {
			return 0, err
		}
	}
	return target, nil
}

func (v *viewer) playlist(ctx context.Context, u *url.URL) (m3u8.Playlist, error) {
	body, err := v.get(ctx, u)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	p, _, err := m3u8.DecodeFrom(body, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	return p, nil
}

func (v *viewer) fetch(ctx context.Context, base *url.URL, uri string) error {
	u, err := base.Parse(uri)
	if err != nil {
		return err
	}
	body, err := v.get(ctx, u)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}

func (v *viewer) get(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", v.name)
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", u, resp.Status)
	}
	return resp.Body, nil
}
