package cache

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// channels remembers live playlists, so that it can judge their next versions: an encoder that starts again uses the old names
// for other segments. It takes about 4 MiB at most, whatever playlists say.
type channels struct {
	named   keySet // keys that playlists name
	own     keySet // those that a playlist on the same host names: anybody can write a playlist that names files of others
	hinted  keySet // keys that playlists hint at
	aired   keySet // keys of what has been on air
	endless keySet // those of them that were on air for longer than any segment takes

	outdated keyTimes // what was under these keys before these times is of an earlier programme

	mu         sync.Mutex
	seed       maphash.Seed
	young, old map[uint64]*channel // two generations, so that no sweep is needed
}

const (
	mostChannels = 256 // in a generation
	mostNames    = 512 // of a channel: those next to the live edge
	namedFor     = 10 * time.Minute
	untoldFor    = 2 * time.Second // an answer of another cache takes less time
	hintedFor    = time.Minute     // what is hinted at is asked for at once, and there soon
)

// channel is one live playlist.
type channel struct {
	first, end    int64 // media sequence numbers: that of its first segment, and the next one
	discontinuity int64
	ended         bool
	restarted     time.Time // when it last began again
	names         []uint64  // hashes of the keys that it names now
	left          []uint64  // of those that have left it
}

// version is what a new version of a live playlist says.
type version struct {
	info    hls.Info
	partial bool     // it names only a part of the segments, as a delta update does, or nobody could look at it
	keys    []string // the keys of what it names

	restarted time.Time // when its encoder began again, as another cache says; zero: it says nothing
}

// of returns the channel of a playlist, nil if it is not known.
func (c *channels) of(list string) *channel {
	if c.young == nil {
		c.young, c.seed = map[uint64]*channel{}, maphash.MakeSeed()
	}
	hash := maphash.String(c.seed, list)
	ch := c.young[hash]
	if ch == nil {
		if ch = c.old[hash]; ch != nil {
			c.put(hash, ch)
		}
	}
	return ch
}

func (c *channels) put(hash uint64, ch *channel) {
	if len(c.young) >= mostChannels {
		c.old, c.young = c.young, map[uint64]*channel{}
	}
	c.young[hash] = ch
}

// wasLive reports whether an earlier version of a playlist was live.
func (c *channels) wasLive(list string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(list) != nil
}

// restarted is when the encoder of a playlist last began again. Zero: it is not known to have done so.
func (c *channels) restarted(list string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.of(list); ch != nil {
		return ch.restarted
	}
	return time.Time{}
}

// next takes in a new version of a playlist. It returns keys with times: what is stored under such a key, and is older than its
// time, belongs to another programme, or may do so.
func (c *channels) next(list string, v version) map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, now := c.of(list), time.Now()
	end := v.info.MediaSequence + v.info.Segments
	if ch == nil {
		if v.info.Ended() {
			return nil
		}
		ch = &channel{first: v.info.MediaSequence, end: end, discontinuity: v.info.Discontinuity}
		c.put(maphash.String(c.seed, list), ch)
	}
	back := v.info.MediaSequence < ch.first || end < ch.end || v.info.Discontinuity < ch.discontinuity ||
		ch.ended && !v.info.Ended()
	ch.first, ch.end, ch.discontinuity, ch.ended = v.info.MediaSequence, end, v.info.Discontinuity, v.info.Ended()
	out := map[string]time.Time{}
	told := v.restarted.Sub(ch.restarted) > untoldFor // what it tells us is mostly known
	if back || told {
		if ch.restarted = v.restarted; back {
			ch.restarted = now
		}
		for _, key := range v.keys {
			out[key] = ch.restarted
		}
	}
	if back && v.partial { // what it does not name is of the earlier programme
		ch.left, ch.names = append(ch.left, ch.names...), nil
	}
	c.rename(ch, v, out, now)
	return out
}

// rename replaces the names of a channel, or adds those of a version that names only a part. It adds to out the names that have
// come back, and those that are new since the channel began again.
func (c *channels) rename(ch *channel, v version, out map[string]time.Time, now time.Time) {
	keys := v.keys[max(len(v.keys)-mostNames, 0):]
	before, left := hashSet(ch.names), hashSet(ch.left)
	names := make([]uint64, len(keys))
	for i, key := range keys {
		hash := maphash.String(c.seed, key)
		names[i] = hash
		_, known := before[hash]
		delete(before, hash)
		if known {
			continue
		}
		if _, back := left[hash]; back {
			out[key] = now
		} else if _, all := out[key]; !all && !ch.restarted.IsZero() {
			out[key] = ch.restarted
		}
	}
	var others []uint64 // that it does not name
	for _, hash := range ch.names {
		if _, other := before[hash]; other {
			others = append(others, hash)
		}
	}
	if v.partial {
		names = slices.Concat(others[max(len(others)+len(names)-mostNames, 0):], names)
	} else {
		ch.left = append(ch.left, others...)
	}
	ch.left = ch.left[max(len(ch.left)-mostNames, 0):]
	ch.names = names
}

func hashSet(hashes []uint64) map[uint64]struct{} {
	set := make(map[uint64]struct{}, len(hashes))
	for _, h := range hashes {
		set[h] = struct{}{}
	}
	return set
}

// isHinted reports whether a playlist says that something will be there soon. For what has been on air this means nothing.
func (c *channels) isHinted(key string) bool {
	return c.hinted.has(key, hintedFor) && !c.aired.has(key, namedFor)
}

// airAfter is how long a body must come as it is made before it goes on air. What a playlist names is a segment, unless it
// takes longer than any segment, or has done so lately. If only playlists on other hosts name it, it is also no segment if it
// has been on air at all.
func (c *channels) airAfter(key string) time.Duration {
	has := func(s *keySet) bool { return s.has(key, namedFor) }
	if !has(&c.named) || has(&c.endless) || has(&c.aired) && !has(&c.own) {
		return airAfter
	}
	return namedAfter
}

// onAir remembers what is on air, and since when.
func (c *channels) onAir(key string, since time.Time) {
	c.aired.add(namedFor, key)
	if time.Since(since) >= namedAfter {
		c.endless.add(namedFor, key)
	}
}

// note remembers what a playlist names.
func (c *channels) note(n listing.Names) {
	c.named.add(namedFor, n.All[max(len(n.All)-keySetSize/2, 0):]...)
	c.own.add(namedFor, n.Own[max(len(n.Own)-keySetSize/2, 0):]...)
	c.hinted.add(hintedFor, n.Hints...)
}

// unproved is the TTL of an answer that is not served before the origin has confirmed it, whatever allows stale answers.
const unproved = -1

// listOf is the key of a playlist without the delivery directives, which ask for another state of the same list.
func listOf(key string) string {
	asked, parts := key, ""
	if at := strings.IndexAny(key, ofMaker+ofPart); at >= 0 {
		asked, parts = key[:at], key[at:]
	}
	path, query, found := strings.Cut(asked, "?")
	if !found || !strings.Contains(query, hls.Reserved) {
		return key
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !hls.IsDirective(pair) && pair != "" {
			kept = append(kept, pair)
		}
	}
	if len(kept) == 0 {
		return path + parts
	}
	return path + "?" + strings.Join(kept, "&") + parts
}
