package audience

import (
	"strings"
	"sync"
	"sync/atomic"
)

// stream is a stream with viewers.
type stream struct {
	key    string
	name   string // as shown
	prefix string // of the paths that belong to it; empty: Audience.Stream decides
	target atomic.Int64
	bytes  atomic.Uint64
	// Guarded by the lock of streams.
	uses     int
	variants map[string]string
}

// streams are those with viewers.
type streams struct {
	sync.Mutex
	byName   map[string]*stream
	variants int // of all streams
}

// use returns the stream for a new session. drop gives it back.
func (ss *streams) use(name, prefix string) *stream {
	ss.Lock()
	defer ss.Unlock()
	st := ss.byName[name]
	if st == nil {
		name = strings.Clone(name)
		st = &stream{key: name, name: Redact(name)}
		if prefix != "" {
			st.prefix = name
		}
		ss.byName[name] = st
	}
	st.uses++
	return st
}

func (ss *streams) drop(st *stream) {
	ss.Lock()
	defer ss.Unlock()
	if st.uses--; st.uses == 0 {
		delete(ss.byName, st.key)
		ss.variants -= len(st.variants)
	}
}

// How many names of playlists are kept for one stream, and for all streams. If next answers any name, a viewer may invent
// names.
const (
	maxVariants  = 64
	mostVariants = defaultSessions
)

// variantOf is the shared copy of a playlist's name below its stream. The caller holds the shard.
func (ss *streams) variantOf(st *stream, urlPath string) string {
	name := strings.TrimPrefix(urlPath, st.prefix)
	if st.prefix == "" {
		name = urlPath[strings.LastIndexByte(urlPath, '/')+1:]
	}
	ss.Lock()
	defer ss.Unlock()
	if known, ok := st.variants[name]; ok {
		return known
	}
	if len(st.variants) >= maxVariants || len(name) > 255 || ss.variants >= mostVariants {
		return ""
	}
	ss.variants++
	if st.variants == nil {
		st.variants = map[string]string{}
	}
	name = strings.Clone(name)
	st.variants[name] = Redact(name)
	return st.variants[name]
}

// directoryOf is the directory of a path, with its slash.
func directoryOf(urlPath string) string { return urlPath[:strings.LastIndexByte(urlPath, '/')+1] }
