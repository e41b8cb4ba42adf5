package sign

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// directoryToken is the token of a directory, ready to be appended.
type directoryToken struct {
	signer *Signer
	kind   int    // of the links that get it
	prefix []byte // of public URLs below the directory, as they are spelled
	dir    []byte // the path of the directory
	depth  int    // the number of its segments
	text   []byte // param=token
	deep   bool   // it is also for URLs in directories below
}

// If a session is renewed, playlists and media have different tokens.
const (
	kindAny = iota
	kindMedia
	kindPlaylist
)

// kindOf takes for a playlist what is fetched again and again by the same URL, such as a playlist or a steering manifest,
// unless a server might take it for media because of what stands before a semicolon or the like.
func kindOf(path []byte) int {
	if !isRenewed(path) {
		return kindMedia
	}
	return kindPlaylist
}

func isRenewed(path []byte) bool {
	_, name := link.DirectoryOf(path)
	if kindOfName(name) != KindPlaylist {
		return false
	}
	for name := range link.Readings(name) {
		if isMedia(name) {
			return false
		}
	}
	return true
}

// outOfPath are the bytes that may mean something other than a path.
var outOfPath = link.Not(link.Unreserved + "/+,@!=")

// extendPlainly is a fast path for most URLs of a playlist: simple paths below the directory of the URL before. If it returns
// false, the URL needs a closer look.
func (t *directoryToken) extendPlainly(public []byte) (signed []byte, ok bool) {
	if !bytes.HasPrefix(public, t.prefix) {
		return public, false
	}
	name, separator := public[len(t.prefix):], byte('?')
	if i := bytes.IndexByte(name, '?'); i >= 0 {
		query := name[i+1:]
		if bytes.IndexByte(query, '#') >= 0 || link.MeansParam(query, t.signer.config.Param) || hls.CarriesVariables(query) {
			return public, false
		}
		name, separator = name[:i], '&'
	}
	if !t.deep && bytes.IndexByte(name, '/') >= 0 {
		return public, false
	}
	if link.HasOdd(name, &outOfPath) || !hasNames(name) || t.kind != kindAny && t.kind != kindOf(name) || t.signer.isAlone(name) {
		return public, false
	}
	return append(append(public, separator), t.text...), true
}

// hasNames reports whether all segments of a relative path are names: none begins with a dot, and only the last may be empty.
func hasNames(path []byte) bool {
	for {
		if len(path) > 0 && (path[0] == '/' || path[0] == '.') {
			return false
		}
		i := bytes.IndexByte(path, '/')
		if i < 0 {
			return true
		}
		path = path[i+1:]
	}
}
