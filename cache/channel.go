package cache

import (
	"context"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// channels remembers of live playlists what their next version is judged by: an encoder that begins again uses the names of
// before for other segments. Its bound is about 4 MiB, whatever playlists say.
type channels struct {
	mu         sync.Mutex
	seed       maphash.Seed
	young, old map[uint64]*channel // two generations, so that no sweep is needed
	named      keySet              // keys that playlists name
	own        keySet              // those of them that playlists of the same host name
	hinted     keySet              // keys that playlists hint at
}

const (
	mostChannels = 256  // in a generation
	mostNames    = 512  // of a channel: those next to the live edge
	mostListed   = 4096 // names of one playlist that are looked at
	namedFor     = 10 * time.Minute
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
	partial bool     // a delta update names a part of it only
	keys    []string // of what it names
}

// of is the channel of a playlist, nil if it is not known.
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

// wasLive tells whether a playlist was seen before that went on.
func (c *channels) wasLive(list string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(list) != nil
}

// next takes in a version of a playlist. What is stored under the keys that it returns, and is older than the time beside them,
// is of another programme, or may be.
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
	if back {
		ch.restarted = now
	}
	if v.partial {
		return nil
	}
	out := map[string]time.Time{}
	if back {
		for _, key := range v.keys {
			out[key] = now
		}
	}
	c.rename(ch, v.keys, out, now)
	return out
}

// rename renews what a channel names, and adds to out what has come back, or is new since the channel began again.
func (c *channels) rename(ch *channel, keys []string, out map[string]time.Time, now time.Time) {
	keys = keys[max(len(keys)-mostNames, 0):]
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
	for _, hash := range ch.names {
		if _, gone := before[hash]; gone {
			ch.left = append(ch.left, hash)
		}
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

func (c *channels) isNamed(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.named.has(key, time.Now(), namedFor)
}

// isOwn tells whether a playlist of the same host names a key. Anybody can write a playlist that names what others serve.
func (c *channels) isOwn(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own.has(key, time.Now(), namedFor)
}

func (c *channels) isHinted(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hinted.has(key, time.Now(), namedFor)
}

// note remembers what a playlist names.
func (c *channels) note(n names) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, key := range n.all[max(len(n.all)-keySetSize/2, 0):] {
		c.named.add(key, now, namedFor)
	}
	for _, key := range n.own[max(len(n.own)-keySetSize/2, 0):] {
		c.own.add(key, now, namedFor)
	}
	for _, key := range n.hints {
		c.hinted.add(key, now, namedFor)
	}
}

// judge sets how long an answer is fresh, and whether it is a live playlist, which it returns.
func (t *Transport) judge(o *flight, e *Entry) (list hls.Info, err error) {
	e.TTL, e.Live = rules.Longest, false // a slice is right as long as the header that names it
	if o.part != nil {
		return list, nil
	}
	if e.TTL, err = t.ttl(e); err != nil {
		return list, err
	}
	switch e.Status {
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		if t.TTL == nil && e.TTL < 0 && o.anonymous && o.isMedia(e.Header) && !rules.ParseControl(e.Header).NoStore {
			e.TTL = ttlMedia // while what it leads to is there; see isFresh
		}
	case http.StatusNotFound, http.StatusGone:
		if t.TTL == nil && e.TTL > ttlNamed && t.channels.isNamed(o.primary) {
			e.TTL = ttlNamed
		}
	case http.StatusOK:
		if keyLike(o.req.URL.Path, e.Header, e.length()) {
			e.TTL = never // whatever the TTL of the caller's says
			break
		}
		var ok bool
		if list, ok = lookAt(e); !ok && t.TTL == nil && e.TTL == 0 && t.channels.isNamed(o.primary) {
			e.TTL = e.namedTTL()
		}
		if !ok || list.Multivariant {
			break
		}
		again := list.Ended() && !(list.VOD && list.MediaSequence == 0) && t.channels.wasLive(listOf(keyOf(o.primary, e)))
		e.Live = list.IsChannel() || again
		if again && t.TTL == nil && e.TTL > 0 {
			e.TTL = e.liveTTL(list, e.TTL, true)
		}
	}
	return list, nil
}

// notice takes in a new version of a playlist: what a live one shows to be of an earlier programme is asked about before it is
// served again. It is called before any viewer can have seen the end of the playlist.
func (t *Transport) notice(o *flight, e *Entry, list hls.Info) {
	if list.Segments+list.Parts == 0 || list.Multivariant {
		return
	}
	v := version{info: list, partial: strings.Contains(e.URL, "_HLS_skip=")}
	if p, ok := playlistOf(e); ok {
		n := t.namesOf(o.req, p)
		v.keys = n.all
		t.channels.note(n)
		if t.leads() {
			t.outline(o, e, p, list)
		}
	}
	if !e.Live {
		return
	}
	if old := t.channels.next(listOf(keyOf(o.primary, e)), v); len(old) > 0 {
		t.outdate(old)
	}
}

// names are the keys of what a playlist names: of all, of what is on its own host, and of what it hints at.
type names struct{ all, own, hints []string }

// playlist is the text of one, as much of it as is looked at, and the URL that its names are relative to.
type playlist struct {
	text []byte
	url  string
	base *url.URL // url, parsed
}

func playlistOf(e *Entry) (p playlist, ok bool) {
	body, _, ok := open(e)
	base, err := url.Parse(e.URL)
	if !ok || err != nil {
		return p, false
	}
	text, _ := io.ReadAll(io.LimitReader(body, maxPlaylist))
	return playlist{text, e.URL, base}, true
}

// namesOf lists what a playlist names, the answer to r, the last ones of a long one.
func (t *Transport) namesOf(r *http.Request, p playlist) (n names) {
	own := originOf(p.base)
	var refs []string
	seen := map[string]bool{}
	hinted := map[string]bool{}
	for ref, hint := range hls.Refs(p.text) {
		if refs = append(refs, ref); hint && len(hinted) < 4 {
			hinted[ref] = true
		}
	}
	for _, ref := range t.withHook(refs[max(len(refs)-mostListed, 0):], p.text, p.url) {
		u, err := p.base.Parse(ref)
		if err != nil {
			continue
		}
		u.Fragment = ""
		key, err := t.key(listed(r, u))
		if err != nil {
			return names{}
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		n.all = append(n.all, key)
		if originOf(u) == own {
			n.own = append(n.own, key)
		}
		if hinted[ref] {
			n.hints = append(n.hints, key)
		}
	}
	return n
}

// originOf is the scheme, host and port of a URL (RFC 6454 section 4).
func originOf(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + hostOf(scheme, u.Host)
}

// withHook puts behind what a playlist names what Refs makes of it: names with variables, and with parameters that they
// inherit.
func (t *Transport) withHook(refs []string, playlist []byte, base string) []string {
	if t.Refs == nil {
		return refs
	}
	all, err := func() (all []string, err error) {
		defer t.recovered(&err)
		for ref := range t.Refs(playlist, base) {
			if all = append(all, ref); len(all) >= 2*mostListed {
				all = all[mostListed:]
			}
		}
		return all, nil
	}()
	if err != nil {
		return refs
	}
	return append(refs, all[max(len(all)-mostListed, 0):]...)
}

// outdate makes what is stored under keys be asked about before it is served again, if it is older than the time beside its
// key, and bars what is being fetched.
func (t *Transport) outdate(keys map[string]time.Time) {
	of := func(key string) (time.Time, bool) {
		primary, _, _ := strings.Cut(key, ofPart)
		at, ok := keys[primary]
		return at, ok
	}
	t.mu.Lock()
	for key, o := range t.flights {
		if at, ok := of(key); ok && o.asked.Before(at) {
			o.bar()
		}
	}
	for key, f := range t.fills {
		if at, ok := of(key); ok && f.o.asked.Before(at) {
			f.o.bar()
		}
	}
	t.mu.Unlock()
	if t.Store == nil {
		return
	}
	varying := map[string]struct{}{}
	for key, at := range keys {
		if t.outdateOne(key, at) {
			varying[key] = struct{}{}
		}
	}
	if len(varying) > 0 {
		t.purgeStore(context.Background(), func(key string) bool {
			primary, _, _ := strings.Cut(key, ofPart)
			_, ok := varying[primary]
			return ok
		})
	}
}

// outdateOne reports whether there are variants: the Store cannot list their keys.
func (t *Transport) outdateOne(key string, at time.Time) (varies bool) {
	f, err := t.get(new(http.Request), key)
	e := f.entry
	switch {
	case err != nil || e == nil:
		return false
	case e.Status == 0:
		return len(e.Vary) > 0
	case !e.Time.Before(at) || !borrow(e):
		return false
	}
	defer giveBack(e)
	now := *e
	now.TTL = unproved
	if t.put(context.Background(), key, &now) != nil {
		t.count.errors.Add(1)
	}
	return false
}

// unproved is the TTL of what is not served before the origin has confirmed it, whatever allows to serve it stale.
const unproved = -1

// listOf is the key of a playlist without the delivery directives, which ask for other states of the same list.
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
