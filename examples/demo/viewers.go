package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"golang.org/x/sync/errgroup"
)

// viewer is one simulated player.
type viewer struct {
	client  *http.Client
	name    string
	quality int // which variant, modulo their number
}

// stay begins to watch after a while, and watches until ctx ends.
func (v *viewer) stay(ctx context.Context, after time.Duration, master string, failed func(error)) {
	for ok := wait(ctx, after); ok; ok = wait(ctx, time.Second) {
		if err := v.watch(ctx, master); ctx.Err() == nil {
			failed(err)
		}
	}
}

// watch returns when a request has failed or ctx has ended.
func (v *viewer) watch(ctx context.Context, master string) error {
	renditions, err := v.choose(ctx, master)
	if err != nil {
		return err
	}
	// The renditions are followed in parallel, because a blocking reload holds up only its own.
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range renditions {
		g.Go(func() error {
			for {
				began := time.Now()
				pause, err := v.follow(ctx, r)
				if err != nil {
					return err
				}
				if !wait(ctx, time.Until(began.Add(pause))) {
					return ctx.Err()
				}
			}
		})
	}
	return g.Wait()
}

// rendition is a viewer's position in one media playlist.
type rendition struct {
	playlist *url.URL
	begun    bool
	next     uint64 // the sequence number it plays next

	reload *url.URL // with directives; nil: without
	part   string   // the newest loaded part
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

// follow loads a media playlist and the new segments in it. It returns how long to wait before the next reload: a target
// duration, or half of one if nothing had changed (RFC 8216 section 6.3.4).
func (v *viewer) follow(ctx context.Context, r *rendition) (time.Duration, error) {
	at := r.playlist
	if r.reload != nil {
		at = r.reload
	}
	list, err := v.playlist(ctx, at)
	if err != nil {
		return 0, err
	}
	p, ok := list.(*m3u8.MediaPlaylist)
	if !ok {
		return 0, fmt.Errorf("%s is no media playlist", r.playlist)
	}
	if p.PartTargetDuration > 0 {
		return 0, v.followParts(ctx, r, p)
	}
	target := time.Duration(p.TargetDuration) * time.Second
	segments := p.GetAllSegments()
	end := p.SeqNo + uint64(len(segments))
	if !r.begun {
		// Players start three target durations from the end, as the draft says.
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
