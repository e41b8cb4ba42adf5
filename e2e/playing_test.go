package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// report is the report of a page about its player. The page sends several each second.
type report struct {
	ID          int
	Version     string
	Played      float64 // seconds of media shown
	CurrentTime float64
	Duration    float64 // 0: unknown or endless
	Frames      int
	Requests    int      // requests to other origins than the page's
	Hosts       []string // those origins
	Ended       bool     // after the seek ahead
	Cues        int      // subtitles
	Parts       int      // parts of segments
	Breaks      int      // assets of interstitials that were played
	IFrames     int
	Thumbnails  int // shown thumbnails of the track
	Errors      []playerError
}

type playerError struct {
	Fatal         bool
	Type, Details string
	Code          int // HTTP status; 0 where the browser hides it, -1 where there is none
	Text          string
}

func (r report) fatal() *playerError {
	for _, e := range r.Errors {
		if e.Fatal {
			return &e
		}
	}
	return nil
}

// playing is a player that a test has started.
type playing struct {
	t  testing.TB
	b  *browser
	id int
}

// in is p as a part of the test sees it.
func (p *playing) in(t testing.TB) *playing { return &playing{t, p.b, p.id} }

// until waits for a report that satisfies ok, and fails the test after a minute and a half without one.
func (p *playing) until(what string, ok func(report) bool) report {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 90*time.Second)
	defer cancel()
	r, err := p.b.await(ctx, p.id, ok)
	require.NoError(p.t, err, "never %s", what)
	return r
}

// await waits for a report that satisfies ok.
func (b *browser) await(ctx context.Context, id int, ok func(report) bool) (report, error) {
	for {
		r := b.reported(id)
		if ok(r) {
			return r, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return r, fmt.Errorf("%w; last seen: %+v", ctx.Err(), r)
		}
	}
}

// shows waits until a number of seconds of media have been shown, and requires that there was no fatal error.
func (p *playing) shows(seconds float64) report {
	p.t.Helper()
	r := p.until(fmt.Sprintf("played %g s", seconds), func(r report) bool { return r.Played >= seconds || r.fatal() != nil })
	require.Nil(p.t, r.fatal(), "%+v", r)
	require.Positive(p.t, r.Frames)
	require.NotEmpty(p.t, r.Hosts, "media comes from another origin than the page's")
	return r
}

// fails waits for a fatal error.
func (p *playing) fails() playerError {
	p.t.Helper()
	r := p.until("failed", func(r report) bool { return r.fatal() != nil || r.Played > 1 })
	require.NotNil(p.t, r.fatal(), "it plays: %+v", r)
	require.Zero(p.t, r.Frames)
	return *r.fatal()
}
