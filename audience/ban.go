package audience

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ban keeps viewers at the place of a kicked session from beginning another session of that stream, whatever session id they
// send. A request does not prolong it, because others may share the place.
type ban struct {
	key, prefix string // of the stream
	until       int64
}

type bans struct {
	n atomic.Int32 // usually 0

	mu      sync.Mutex
	byPlace map[uint64][]ban
}

// add bans a place from a stream.
func (b *bans) add(place uint64, st *stream, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byPlace == nil {
		b.byPlace = map[uint64][]ban{}
	}
	all := slices.DeleteFunc(b.byPlace[place], func(o ban) bool { return o.key == st.key })
	b.byPlace[place] = append(all, ban{st.key, st.prefix, now + int64(kickedRest)})
	b.n.Store(int32(len(b.byPlace)))
}

// has reports whether a place is banned from a stream or from a part of it.
func (b *bans) has(place uint64, name, prefix, urlPath string, now int64) bool {
	if b.n.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.byPlace[place], func(o ban) bool {
		switch {
		case now >= o.until:
			return false
		case o.prefix == "":
			return o.key == name
		}
		return strings.HasPrefix(urlPath, o.prefix) || prefix != "" && strings.HasPrefix(o.prefix, prefix)
	})
}

func (b *bans) sweep(now int64) {
	if b.n.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for place, all := range b.byPlace {
		if all = slices.DeleteFunc(all, func(o ban) bool { return now >= o.until }); len(all) == 0 {
			delete(b.byPlace, place)
		} else {
			b.byPlace[place] = all
		}
	}
	b.n.Store(int32(len(b.byPlace)))
}
