// Package listing reads playlists within bounds: their text, what they name, and the names that a hook finds in them. Whatever
// a playlist says, a Reader holds few long ones at a time, and none costs more than a bounded number of names and comparisons.
package listing

import (
	"io"
	"iter"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Playlist is its text, what a hook finds in it, and the URL that its names are relative to.
type Playlist struct {
	Text []byte // as far as it is read
	URL  string
	Base *url.URL // URL, parsed

	// What the hook finds, which knows about variables and inherited parameters.
	refs []string // the first names
	last []string // the last names of a list that is longer than refs
	Err  error    // of the hook
}

// Hook passes the absolute URLs that a playlist names to yield, until yield returns false.
type Hook func(text []byte, base string, yield func(ref string) bool) error

// MaxText is how much text is read.
const MaxText = 8 << 20

// Only a few playlists that are longer than shortPlaylist, or whose names are, are read at a time, because their text and names
// take memory. A short text can have long names: they inherit parameters, and variables stand in them.
const (
	shortPlaylist = 64 << 10
	shortNames    = 1 << 20
	readAtOnce    = 4
	readAwaited   = time.Second
	mostRefs      = 2 * MaxText // bytes of Playlist.refs
	refWeight     = 16          // bytes of a name beside its text
	mostListed    = 4096        // names of one playlist that are looked at
	longestRef    = 4096        // bytes
)

// Reader reads playlists. The zero value works. Its methods may be called concurrently.
type Reader struct {
	once   sync.Once
	places chan struct{}
}

// enter takes a place. It returns false if there is none for readAwaited.
func (r *Reader) enter() bool {
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

func (r *Reader) exit() { <-r.places }

// place is a place for one playlist that proves to be long.
type place struct {
	of    *Reader
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

// Read reads a playlist whose URL is base, and calls look with it. It returns false if base is no URL, or if too many long
// playlists are being read; the next version will do. hook may be nil.
func (r *Reader) Read(body io.Reader, base string, hook Hook, look func(*Playlist)) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	place := place{of: r}
	defer place.giveBack() // even if a hook ends the goroutine
	text, _ := io.ReadAll(io.LimitReader(body, shortPlaylist))
	if len(text) == shortPlaylist {
		if !place.take() {
			return false
		}
		rest, _ := io.ReadAll(io.LimitReader(body, MaxText-shortPlaylist))
		text = append(text, rest...)
	}
	p := &Playlist{Text: text, URL: base, Base: u}
	if hook != nil && !p.ask(hook, &place) {
		return false
	}
	look(p)
	return true
}

// ask calls the hook. It returns false if the names are long and there is no place.
func (p *Playlist) ask(hook Hook, place *place) (ok bool) {
	left := mostRefs
	ok = true
	p.Err = hook(p.Text, p.URL, func(ref string) bool {
		if left -= len(ref) + refWeight; left < mostRefs-shortNames && !place.take() {
			ok = false
		} else if left >= 0 {
			p.refs = append(p.refs, ref)
		} else if len(ref) <= longestRef {
			if p.last = append(p.last, ref); len(p.last) >= 2*mostListed {
				p.last = append(p.last[:0], p.last[mostListed:]...)
			}
		}
		return ok
	})
	return ok
}

// All lists what the hook finds. ok is false if the hook failed, or if the text or the list is longer than what is kept of it.
func (p *Playlist) All() (refs []string, ok bool) {
	return p.refs, p.Err == nil && len(p.last) == 0 && len(p.Text) < MaxText
}

// newest are the last names that the hook finds.
func (p *Playlist) newest() []string {
	all := p.refs
	if p.Err != nil {
		return nil
	}
	if len(p.last) > 0 {
		all = p.last
	}
	return all[max(len(all)-mostListed, 0):]
}

// Names are the keys of what a playlist names: all, those on its own scheme, host and port, and those it hints at.
type Names struct{ All, Own, Hints []string }

// Names lists what a playlist names, by the keys that keyOf returns. Of a long playlist it lists the last names.
func (p *Playlist) Names(keyOf func(*url.URL) (string, error)) (n Names) {
	own := wire.Origin(p.Base)
	var refs []string
	seen := map[string]bool{}
	hinted := map[string]bool{}
	for ref, hint := range hls.Refs(p.Text) {
		if refs = append(refs, ref); hint && len(hinted) < 4 {
			hinted[ref] = true
		}
	}
	refs = append(refs[max(len(refs)-mostListed, 0):], p.newest()...)
	for _, ref := range refs {
		u, err := p.Base.Parse(ref)
		if err != nil {
			continue
		}
		u.Fragment = ""
		key, err := keyOf(u)
		if err != nil {
			return Names{}
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		n.All = append(n.All, key)
		if wire.Origin(u) == own {
			n.Own = append(n.Own, key)
		}
		if hinted[ref] {
			n.Hints = append(n.Hints, key)
		}
	}
	return n
}

// Pieces lists the pieces of a playlist with the names under which viewers ask for them, as far as these are known. "":
// unknown.
func (p *Playlist) Pieces() iter.Seq2[hls.Piece, string] {
	return func(yield func(hls.Piece, string) bool) {
		all := p.refs
		budget := mostCompared
		for one := range hls.Pieces(p.Text) {
			if !yield(one, p.asked(one, &all, &budget)) {
				return
			}
		}
	}
}

// asked returns the name under which viewers ask for a piece, or "". all are the names that the hook has found from here on.
func (p *Playlist) asked(one hls.Piece, all *[]string, budget *int) string {
	if len(one.Ref) > longestRef {
		return ""
	}
	for i, ref := range (*all)[:min(len(*all), farthest)] {
		if *budget -= len(ref); *budget < 0 {
			break
		}
		if len(ref) <= longestRef && stands(one.Ref, ref) {
			*all = (*all)[i+1:]
			return ref
		}
	}
	if one.HasVariables() {
		return ""
	}
	return one.Ref
}

// farthest is how many other names, of keys and reports, a hook may list between two pieces.
const farthest = 16

// mostCompared is how many bytes of names are compared for one playlist.
const mostCompared = 64 << 20

// stands reports whether a name in a playlist may stand for a URL: the URL ends with the name, apart from variables within it
// and parameters after it.
func stands(name, u string) bool {
	for _, up := range [...]string{"./", "../"} {
		for strings.HasPrefix(name, up) {
			name = name[len(up):]
		}
	}
	first := true
	for {
		text, rest, more := strings.Cut(name, "{$")
		at := strings.Index(u, text)
		if first && at > 0 && text[0] != '/' && u[at-1] != '/' {
			if at = strings.Index(u, "/"+text); at >= 0 {
				at++
			}
		}
		if at < 0 {
			return false
		}
		u = u[at+len(text):]
		if !more {
			return text == "" || u == "" || strings.ContainsAny(u[:1], "?&#")
		}
		_, name, _ = strings.Cut(rest, "}")
		first = false
	}
}
