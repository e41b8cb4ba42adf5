package audience

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Served describes a request that has been answered. It contains no token and no query, and shortens a long element of a path,
// such as a sealed URL: see [Redact]. Its texts contain only characters that print, but may contain quotes.
type Served struct {
	At       time.Time     // when the request came
	Session  string        // its id; empty: it was not counted
	Name     string        // the result of Audience.Session, at most 64 bytes
	Stream   string        // redacted
	Kind     string        // "playlist", "segment", "part", "key" or "other"
	Method   string        // GET or HEAD
	Path     string        // without its query, redacted
	Proto    string        // such as HTTP/1.1
	Addr     netip.Addr    // of IPv6 the first 64 bits
	Agent    string        // the User-Agent, at most 256 bytes
	Referer  string        // without its query, redacted
	Status   int           // 0: none was sent
	Bytes    int64         // of the body
	First    time.Duration // until the first byte of the body, or the end if there is none
	Duration time.Duration // until the end
	// Cache is what the cache next to the viewer did, by Cache-Status: "hit", "stale", "miss", "revalidated", "join" or "pass".
	// Empty: unknown.
	Cache  string
	Broken bool  // the answer broke off
	Err    error // why, as reported to Audience.OnFailure or by the connection. Its text may name upstream URLs.
}

// failure is where hooks of inner handlers store an error.
type failure struct {
	mu  sync.Mutex
	err error
}

type failureKey struct{ a *Audience }

func (f *failure) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

var errKicked = errors.New("audience: the session was ended")

func kindOf(urlPath string, h http.Header) string {
	label := ""
	if lines := h["Content-Type"]; len(lines) > 0 {
		label = lines[0]
	}
	kind := hls.ByName(urlPath)
	if kind == hls.Unknown || kind == hls.JSON {
		kind = hls.ByType(label)
	}
	name := strings.ToLower(urlPath[strings.LastIndexByte(urlPath, '/')+1:])
	switch {
	case kind == hls.Playlist:
		return "playlist"
	case kind == hls.Key:
		return "key"
	case (kind.IsMedia() || kind == hls.Data) && strings.Contains(name, "part"):
		return "part"
	case kind.IsMedia() || kind == hls.Data:
		return "segment"
	}
	return "other"
}

// cacheStatus reads the last member of Cache-Status, which belongs to the cache next to the viewer (RFC 9211 section 2).
func cacheStatus(h http.Header) string {
	lines := h["Cache-Status"]
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	quoted := false
	for i := len(last) - 1; i >= 0; i-- {
		if last[i] == '"' {
			quoted = !quoted
		} else if last[i] == ',' && !quoted {
			last = last[i+1:]
			break
		}
	}
	has := func(param string) bool {
		for p := range strings.SplitSeq(last, ";") {
			if strings.TrimSpace(p) == param {
				return true
			}
		}
		return false
	}
	switch {
	case has("hit") && has("detail=stale"):
		return "stale"
	case has("hit"):
		return "hit"
	case has("fwd-status=304"):
		return "revalidated"
	case has("collapsed"):
		return "join"
	case has("fwd=bypass"), has("fwd=method"), has("fwd=request"):
		return "pass"
	case strings.Contains(last, "fwd="):
		return "miss"
	}
	return ""
}

// Log returns a hook for Audience.OnServed that writes a record for each request: at level Info, or Warn if the answer broke
// off or has a status of 500 or above. The text of an error is redacted as by [RedactText].
func Log(l *slog.Logger) func(Served) {
	return func(s Served) {
		level := slog.LevelInfo
		if s.Broken || s.Status >= 500 {
			level = slog.LevelWarn
		}
		ctx := context.Background()
		if !l.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{
			slog.String("session", s.Session), slog.String("stream", s.Stream), slog.String("kind", s.Kind), slog.String("method", s.Method),
			slog.String("path", s.Path), slog.Int("status", s.Status), slog.Int64("bytes", s.Bytes), slog.Duration("first", s.First),
			slog.Duration("took", s.Duration), slog.String("cache", s.Cache),
		}
		if s.Name != "" {
			attrs = append(attrs, slog.String("name", s.Name))
		}
		if s.Broken {
			attrs = append(attrs, slog.Bool("broken", true))
		}
		if s.Err != nil {
			attrs = append(attrs, slog.String("error", RedactText(s.Err.Error())))
		}
		l.LogAttrs(ctx, level, "served", attrs...)
	}
}

// Sample returns a hook that passes on one in oneIn requests, and all that broke off or have a status of 400 or above. With
// kinds, it passes on only requests of these kinds.
func Sample(oneIn int, to func(Served), kinds ...string) func(Served) {
	var n atomic.Uint64
	wanted := map[string]bool{}
	for _, k := range kinds {
		wanted[k] = true
	}
	return func(s Served) {
		if len(wanted) > 0 && !wanted[s.Kind] {
			return
		}
		if s.Broken || s.Status >= 400 || oneIn <= 1 || n.Add(1)%uint64(oneIn) == 1 {
			to(s)
		}
	}
}
