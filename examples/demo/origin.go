package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	playlistType = "application/vnd.apple.mpegurl"

	// distance is how long the origin lets everyone wait for an answer: one that is far away, as most are. Without it a
	// fill would be over too soon for anyone to join it.
	distance = 100 * time.Millisecond
	// kept is how many segments stay fetchable after they left the playlist (RFC 8216 section 6.2.2 asks for a window).
	kept = 2 * window
)

// liveOrigin is the upstream: a live stream that loops for ever, as fMP4 below /live/ and as MPEG-TS below /live/ts/. It
// is a function of the clock and keeps no state.
type liveOrigin struct {
	epoch time.Time // when segment 0 began
	now   func() time.Time
}

// newLiveOrigin counts segments from last midnight but one minute, so that the numbers stay small, the first playlist
// is full, and a restart within the day takes up the same stream.
func newLiveOrigin(now func() time.Time) *liveOrigin {
	return &liveOrigin{epoch: now().UTC().Truncate(24 * time.Hour).Add(-time.Minute), now: now}
}

// edge is the newest segment that is complete.
func (o *liveOrigin) edge() int64 { return int64(o.now().Sub(o.epoch)/segmentTime) - 1 }

// handler serves both shapes.
func (o *liveOrigin) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, s := range []shape{
		{root: "/live/", dir: "fmp4", ext: ".m4s", video: "video/mp4", audio: "audio/mp4"},
		{root: "/live/ts/", dir: "ts", ext: ".ts", video: "video/mp2t", audio: "video/mp2t"},
	} {
		if err := s.mount(mux, o); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait(r.Context(), distance) {
			mux.ServeHTTP(w, r)
		}
	}), nil
}

// shape is the stream in one container format.
type shape struct {
	root, dir, ext string
	video, audio   string // media types
	tracks         map[string]*track
}

func (s *shape) mount(mux *http.ServeMux, o *liveOrigin) error {
	s.tracks = map[string]*track{}
	for _, name := range []string{variants[0].name, variants[1].name, audio} {
		t, err := loadTrack(s.dir+"/"+name, s.ext)
		if err != nil {
			return err
		}
		s.tracks[name] = t
		s.mountTrack(mux, o, name, t)
	}
	master := multivariant(s.tracks)
	mux.HandleFunc("GET "+s.root+"master.m3u8", func(w http.ResponseWriter, r *http.Request) {
		send(w, playlistType, master)
	})
	return nil
}

func (s *shape) mountTrack(mux *http.ServeMux, o *liveOrigin, name string, t *track) {
	root, mediaType, initURI := s.root+name+"/", s.video, ""
	if name == audio {
		mediaType = s.audio
	}
	if t.init != nil {
		initURI = "init.mp4"
		mux.HandleFunc("GET "+root+initURI, func(w http.ResponseWriter, r *http.Request) { send(w, mediaType, t.init) })
	}
	uri := func(n int64) string { return strconv.FormatInt(n, 10) + s.ext }
	mux.HandleFunc("GET "+root+"index.m3u8", func(w http.ResponseWriter, r *http.Request) {
		body, err := media(o.edge(), o.epoch, uri, initURI)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		send(w, playlistType, body)
	})
	mux.HandleFunc("GET "+root+"{segment}", func(w http.ResponseWriter, r *http.Request) {
		n, err := s.number(r.PathValue("segment"), o.edge())
		if err != nil {
			http.NotFound(w, r)
			return
		}
		body, err := t.segment(n)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		send(w, mediaType, body)
	})
}

// number reads a segment's number out of its name; only what is or was just now in the playlist exists.
func (s *shape) number(name string, edge int64) (int64, error) {
	digits, _ := strings.CutSuffix(name, s.ext)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < max(edge-window-kept, 0) || n > edge || name != strconv.FormatInt(n, 10)+s.ext {
		return 0, fmt.Errorf("no segment %q at edge %d", name, edge)
	}
	return n, nil
}

func send(w http.ResponseWriter, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// wait reports whether d went by before ctx was done.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
