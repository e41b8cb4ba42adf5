package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	playlistType = "application/vnd.apple.mpegurl"

	// distance is how long every answer of the origin takes, as if it were far away, as most are. Without it a fill would be
	// over before anyone can join it.
	distance = 100 * time.Millisecond
	// kept is how many segments can be fetched after they have left the playlist (RFC 8216 section 6.2.2 requires a window).
	kept = window
)

var errNoSuchMedia = errors.New("not a name of something that is or was just now in the playlist")

// liveOrigin is the upstream: a live stream that loops for ever, as fMP4 below /live/ and as MPEG-TS below /live/ts/. It
// depends only on the clock and keeps no state.
type liveOrigin struct {
	epoch      time.Time // when segment 0 began
	now        func() time.Time
	lowLatency bool // the fMP4 has parts
}

// newLiveOrigin counts segments from one minute before last midnight, so that the numbers stay small, the first playlist is
// full, and a restart within the day continues the same stream.
func newLiveOrigin(now func() time.Time, lowLatency bool) *liveOrigin {
	return &liveOrigin{epoch: now().UTC().Truncate(24 * time.Hour).Add(-time.Minute), now: now, lowLatency: lowLatency}
}

// edge is the newest segment that is complete.
func (o *liveOrigin) edge() int64 { return int64(o.now().Sub(o.epoch)/segmentTime) - 1 }

// handler serves both shapes.
func (o *liveOrigin) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, s := range []*shape{
		{root: "/live/", ext: ".m4s", video: "video/mp4", audio: "audio/mp4", load: loadFMP4, lowLatency: o.lowLatency},
		{root: "/live/ts/", ext: ".ts", video: "video/mp2t", audio: "video/mp2t", load: loadTS},
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
	root, ext    string
	video, audio string // media types
	load         func(name string) (*track, error)
	lowLatency   bool
}

func (s *shape) mount(mux *http.ServeMux, o *liveOrigin) error {
	tracks := map[string]*track{}
	for _, name := range trackNames() {
		t, err := s.load(name)
		if err != nil {
			return err
		}
		tracks[name] = t
		s.mountTrack(mux, o, name, t)
	}
	master := multivariant(tracks)
	mux.HandleFunc("GET "+s.root+"master.m3u8", func(w http.ResponseWriter, r *http.Request) {
		send(w, playlistType, master, nil)
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
		mux.HandleFunc("GET "+root+initURI, func(w http.ResponseWriter, r *http.Request) { send(w, mediaType, t.init, nil) })
	}
	index := func(w http.ResponseWriter, r *http.Request) {
		body, err := media(o.edge(), o.epoch, s.uri, initURI)
		send(w, playlistType, body, err)
	}
	if s.lowLatency {
		index = (&lowLatency{o: o, name: name, segmentURI: s.uri, partURI: s.partURI}).playlist
	}
	mux.HandleFunc("GET "+root+"index.m3u8", index)
	mux.HandleFunc("GET "+root+"{file}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if n, err := s.segment(name, o.edge()); err == nil {
			body, err := t.segment(n)
			send(w, mediaType, body, err)
		} else if k, err := s.part(name, o.lastPart()); err == nil && s.lowLatency {
			if o.untilPart(r.Context(), k) {
				body, err := t.piece(k)
				send(w, mediaType, body, err)
			}
		} else {
			http.NotFound(w, r)
		}
	})
}

// uri names a segment.
func (s *shape) uri(n int64) string { return strconv.FormatInt(n, 10) + s.ext }

// segment reads the number of a segment from its name.
func (s *shape) segment(name string, edge int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSuffix(name, s.ext), 10, 64)
	if err != nil || n < oldest(edge) || n > edge || name != s.uri(n) {
		return 0, errNoSuchMedia
	}
	return n, nil
}

// oldest is the first segment that can still be fetched.
func oldest(edge int64) int64 { return max(edge-window-kept, 0) }

func send(w http.ResponseWriter, mediaType string, body []byte, err error) {
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
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
