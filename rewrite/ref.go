package rewrite

import (
	"bytes"
	"fmt"
	"iter"
)

// Kind is what a URI leads to.
type Kind uint8

// The kinds of resources that a playlist names.
const (
	Playlist  Kind = iota + 1 // a variant, rendition, I-frame or image playlist, a rendition report's, an interstitial asset's
	Segment                   // a media segment, also one announced by a vendor's prefetch tag
	Part                      // a partial segment, or the hint of one
	Init                      // a media initialization section, or the hint of one
	Key                       // a decryption key
	Data                      // session data
	JSON                      // a steering manifest or an asset list
	Thumbnail                 // a picture that a WebVTT track of thumbnails names
)

var kindNames = [...]string{"", "Playlist", "Segment", "Part", "Init", "Key", "Data", "JSON", "Thumbnail"}

// String is the name of the constant.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Ref is one URI in a playlist.
type Ref struct {
	Tag  string // without "#"; for a URI on a line of its own EXT-X-STREAM-INF if it belongs to one, else EXTINF; "" in a JSON document or a WebVTT track
	Attr string // the attribute, or the member of a JSON document; "" where the URI is the value of the tag, or a line of its own
	Kind Kind   // what it leads to
	URL  string // absolute, variables substituted, bytes otherwise as written; relative if the base is
}

// Refs lists the URIs of a playlist in the order in which they stand there, those of other schemes than http and https
// included, empty ones not. base is the URL of the playlist after redirects; "" leaves references unresolved. The
// playlist must not change during the iteration. A reference that uses an undefined variable comes as it is written,
// with an error that wraps ErrUndefined; the iteration goes on after it. It ends with ErrTooLarge where the URLs together
// have more bytes than [Rewriter.Append] would write.
func Refs(playlist []byte, base string) iter.Seq2[Ref, error] { return refs(playlist, base, nil) }

// Refs is [Refs], with the parameters that URLs inherit: what upstream is asked for. It calls no hook.
func (rw *Rewriter) Refs(playlist []byte, base string) iter.Seq2[Ref, error] {
	return refs(playlist, base, rw.Inherit)
}

func refs(playlist []byte, base string, inherit []string) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		st := newState()
		defer st.free()
		st.begin(playlist, base)
		st.heritage.take(inherit, base, "")
		var t token
		left := max(maxOutput, mostGrowth*len(playlist))
		for st.scan.next(&t) {
			if t.tag.define {
				st.vars.define(playlist, &t)
				continue
			}
			if t.start == t.end {
				continue
			}
			text, ok := st.substitute(&t)
			ref, err := t.ref(), error(nil)
			if !ok {
				err = st.vars.undefined()
				ref.URL = string(t.text(playlist))
			} else {
				st.abs = st.base.appendResolved(st.abs[:0], text)
				st.inherit()
				if left -= len(st.abs); left < 0 {
					yield(Ref{}, ErrTooLarge)
					return
				}
				ref.URL = string(st.abs)
			}
			if !yield(ref, err) {
				return
			}
		}
	}
}

// inherit gives the URL that was resolved last what it inherits, in front of its fragment.
func (st *state) inherit() {
	end := bytes.IndexByte(st.abs, '#')
	if end < 0 {
		end = len(st.abs)
	}
	fragment := string(st.abs[end:])
	st.abs, _ = st.heritage.append(st.abs[:end], st.base.text)
	st.abs = append(st.abs, fragment...)
}
