package cache

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// playlist is its text, what Refs finds in it, and the URL that its names are relative to.
type playlist struct {
	text []byte // as far as it is read
	url  string
	base *url.URL // url, parsed

	// From Transport.Refs, which knows about variables and inherited parameters.
	refs []string // the first names
	last []string // the last names of a list that is longer than refs
	err  error    // of the hook
}

// Only a few playlists that are longer than shortPlaylist, or whose names are, are read at a time, because their text and names
// take memory. A short text can have long names: they inherit parameters, and variables stand in them.
const (
	shortPlaylist = 64 << 10
	shortNames    = 1 << 20
	readAtOnce    = 4
	readAwaited   = time.Second
	mostRefs      = 2 * maxPlaylist // bytes of playlist.refs
	refWeight     = 16              // bytes of a name beside its text
)

// reading is the places for long playlists.
type reading struct {
	once   sync.Once
	places chan struct{}
}

// enter takes a place. It returns false if there is none for readAwaited.
func (r *reading) enter() bool {
	r.once.Do(func() { r.places = make(chan struct{}, readAtOnce) })
	late := time.NewTimer(readAwaited)
	defer late.Stop()
	select {
	case r.places <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}

func (r *reading) exit() { <-r.places }

// place is a place for one playlist that proves to be long.
type place struct {
	of    *reading
	taken bool
}

func (p *place) take() bool {
	if !p.taken {
		p.taken = p.of.enter()
	}
	return p.taken
}

func (p *place) giveBack() {
	if p.taken {
		p.of.exit()
	}
}

// readPlaylist reads a body as a playlist and calls look. It returns false if the body cannot be read, or if too many long
// playlists are being read; the next version will do.
func (t *Transport) readPlaylist(e *Entry, look func(playlist)) bool {
	body, _, ok := open(e)
	base, err := url.Parse(e.URL)
	if !ok || err != nil {
		return false
	}
	place := place{of: &t.reading}
	defer place.giveBack() // even if a hook ends the goroutine
	text, _ := io.ReadAll(io.LimitReader(body, shortPlaylist))
	if len(text) == shortPlaylist {
		if !place.take() {
			return false
		}
		rest, _ := io.ReadAll(io.LimitReader(body, maxPlaylist-shortPlaylist))
		text = append(text, rest...)
	}
	p := playlist{text: text, url: e.URL, base: base}
	if !t.askRefs(&p, &place) {
		return false
	}
	look(p)
	return true
}

// askRefs calls the hook. It returns false if the names are long and there is no place.
func (t *Transport) askRefs(p *playlist, place *place) (ok bool) {
	if t.Refs == nil {
		return true
	}
	ok = true // also if the hook panics
	defer t.recovered(&p.err)
	left := mostRefs
	for ref := range t.Refs(p.text, p.url) {
		if left -= len(ref) + refWeight; left < mostRefs-shortNames && !place.take() {
			return false
		}
		if left >= 0 {
			p.refs = append(p.refs, ref)
			continue
		}
		if len(ref) > longestRef {
			continue
		}
		if p.last = append(p.last, ref); len(p.last) >= 2*mostListed {
			p.last = append(p.last[:0], p.last[mostListed:]...)
		}
	}
	return ok
}

// newest are the last names from Refs.
func (p *playlist) newest() []string {
	all := p.refs
	if p.err != nil {
		return nil
	}
	if len(p.last) > 0 {
		all = p.last
	}
	return all[max(len(all)-mostListed, 0):]
}

// names are the keys of what a playlist names: all, those on its own host, and those it hints at.
type names struct{ all, own, hints []string }

// namesOf lists what a playlist, the answer to r, names. Of a long playlist it lists the last names.
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
	refs = append(refs[max(len(refs)-mostListed, 0):], p.newest()...)
	for _, ref := range refs {
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

// watched is what the windows of a Memory are told about a playlist.
type watched struct {
	list  string   // "": nothing
	names []uint64 // hashes of the keys of its segments; nil: it is not live, or too long
}

// windowOf is what they are told about a playlist that answered r.
func (t *Transport) windowOf(r *http.Request, e *Entry, p playlist, list hls.Info) (w watched) {
	m := t.memory()
	if m == nil || t.Refs == nil || e.Status != http.StatusOK || p.err != nil || strings.Contains(p.base.RawQuery, "_HLS_skip=") {
		return w // a delta update names only a part of them (draft-pantos-hls-rfc8216bis-22 section 6.2.5.1)
	}
	most := m.windows.mostNames()
	if !list.Ended() && len(p.last) == 0 && len(p.refs) <= most && len(p.text) < min(maxPlaylist, most*nameWeight) {
		for _, ref := range p.refs {
			u, err := url.Parse(ref)
			if err != nil {
				continue
			}
			key, err := t.key(listed(r, u))
			if err != nil {
				return w
			}
			w.names = append(w.names, evict.Hash(key))
		}
	}
	w.list = string(appendMaker([]byte(listName(p.base)), r))
	return w
}

// watch tells the Store which segments a playlist names, if the Store can use that.
func (t *Transport) watch(w watched) {
	if w.list != "" {
		t.memory().windows.set(w.list, w.names)
	}
}

// listName is the URL of a playlist without the delivery directives, which ask for another state of the same list.
func listName(u *url.URL) string {
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if !strings.HasPrefix(pair, "_HLS_") && pair != "" {
			kept = append(kept, pair)
		}
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath() + "?" + strings.Join(kept, "&")
}
