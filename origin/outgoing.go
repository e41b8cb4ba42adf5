package origin

import (
	"math"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

var defaultHeader = []string{
	"Accept", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "User-Agent",
}

// DefaultHeader returns what a nil Proxy.Header stands for, to add to. The slice is the caller's.
func DefaultHeader() []string { return slices.Clone(defaultHeader) }

// isHopByHop reports the fields of one connection (RFC 9110 section 7.6.1), and those that Proxy sets itself.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Host", "Content-Length", "Accept-Encoding", "Via":
		return true
	}
	return false
}

// passable is what may go upstream of a caller's list of names.
func passable(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if name = textproto.CanonicalMIMEHeaderKey(name); !isHopByHop(name) {
			out = append(out, name)
		}
	}
	return out
}

var conditional = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// header is what goes upstream of the viewer's header. The names are those of allow.
func (f *fetch) header(u *url.URL, allow []string, first bool) http.Header {
	playlist := isPlaylistPath(u)
	in, out := f.viewer.Header, make(http.Header, 8)
	named := connectionNamed(in)
	for _, name := range allow {
		if v := in[name]; len(v) > 0 && !slices.Contains(named, name) {
			out[name] = v
		}
	}
	if playlist || f.whole || f.viewer.Method != http.MethodGet || !worthSending(out["Range"]) {
		delete(out, "Range")
		delete(out, "If-Range")
	}
	if f.one {
		out["Range"] = []string{"bytes=0-0"}
	}
	if playlist && f.proxy.ModifyResponse != nil {
		for _, name := range conditional { // they name a version of what the viewer got, not of what upstream has
			delete(out, name)
		}
	}
	// The values are of this request alone: one that a RoundTripper changes in place changes no other.
	f.fixed = [...]string{"identity", f.via, ""}
	out["Accept-Encoding"] = f.fixed[0:1:1]
	if !f.proxy.NoVia {
		out["Via"] = f.fixed[1:2:2]
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = f.fixed[2:3:3] // or net/http would invent one
	}
	if first && f.proxy.Forwarded {
		forward(out, f.viewer.RemoteAddr)
	}
	if m := maker.FromContext(f.viewer.Context()); m != nil {
		m.Apply(out, u)
	}
	return out
}

// worthSending reports a range that upstream can save work by and that every server reads alike. Lists are not sent: few
// servers answer them, and each answer costs the server as much as the client likes (RFC 9110 section 17.15).
func worthSending(lines []string) bool {
	if len(lines) != 1 || strings.ContainsAny(lines[0], ", \t") {
		return false
	}
	s, ok := httprange.ParseOne(lines[0])
	return ok && s != httprange.Spec{First: 0, Last: -1} && s.First < math.MaxInt64 && s.Last < math.MaxInt64
}

// areDigits reports up to so many digits, or none.
func areDigits(s string, most int) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return len(s) <= most
}

// connectionNamed are the fields that the Connection header declares to be of this connection only.
func connectionNamed(h http.Header) []string {
	var names []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	return names
}

func isPlaylistPath(u *url.URL) bool { return hls.ByName(u.Path) == hls.Playlist }

func isPlaylistType(h http.Header) bool { return hls.ByType(h.Get("Content-Type")) == hls.Playlist }

// isBlocking reports a request that upstream holds until its playlist has grown.
func isBlocking(u *url.URL) bool { return hls.IsBlocking(u.RawQuery) }
