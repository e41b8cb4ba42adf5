package audience

import (
	"strings"
	"sync/atomic"
)

// stream is a stream with viewers.
type stream struct {
	key    string
	name   string // as shown
	prefix string // of the paths that belong to it; empty: Audience.Stream decides
	target atomic.Int64
	bytes  atomic.Uint64
	// Guarded by the lock of Audience.streams.
	uses     int
	variants map[string]string
}

// useStream returns the stream for a new session. dropStream gives it back.
func (a *Audience) useStream(name, prefix string) *stream {
	a.streams.Lock()
	defer a.streams.Unlock()
	st := a.streams.byName[name]
	if st == nil {
		name = strings.Clone(name)
		st = &stream{key: name, name: Redact(name)}
		if prefix != "" {
			st.prefix = name
		}
		a.streams.byName[name] = st
	}
	st.uses++
	return st
}

func (a *Audience) dropStream(st *stream) {
	a.streams.Lock()
	defer a.streams.Unlock()
	if st.uses--; st.uses == 0 {
		delete(a.streams.byName, st.key)
		a.streams.variants -= len(st.variants)
	}
}

// How many names of playlists are kept for one stream, and for all streams. If next answers any name, a viewer may invent
// names.
const (
	maxVariants  = 64
	mostVariants = defaultSessions
)

// variantOf is the shared copy of a playlist's name below its stream. The caller holds the shard.
func (a *Audience) variantOf(st *stream, urlPath string) string {
	name := strings.TrimPrefix(urlPath, st.prefix)
	if st.prefix == "" {
		name = urlPath[strings.LastIndexByte(urlPath, '/')+1:]
	}
	a.streams.Lock()
	defer a.streams.Unlock()
	if known, ok := st.variants[name]; ok {
		return known
	}
	if len(st.variants) >= maxVariants || len(name) > 255 || a.streams.variants >= mostVariants {
		return ""
	}
	a.streams.variants++
	if st.variants == nil {
		st.variants = map[string]string{}
	}
	name = strings.Clone(name)
	st.variants[name] = Redact(name)
	return st.variants[name]
}

// directoryOf is the directory of a path, with its slash.
func directoryOf(urlPath string) string { return urlPath[:strings.LastIndexByte(urlPath, '/')+1] }
