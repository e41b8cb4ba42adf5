package rewrite

import (
	"fmt"
	"iter"
)

// Kind is the kind of resource that a URI names.
type Kind uint8

// The kinds of resources that a playlist names.
const (
	Playlist  Kind = iota + 1 // a variant, rendition, I-frame or image playlist; what a report or an interstitial names
	Segment                   // a media segment, also one announced by a vendor's prefetch tag
	Part                      // a partial segment, or the hint of one
	Init                      // a media initialization section, or the hint of one
	Key                       // a decryption key
	Data                      // session data
	JSON                      // a steering manifest or an asset list
	Thumbnail                 // a picture in a WebVTT track of thumbnails, or of a chapter
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
	// Tag is the tag without "#". For a URI on a line of its own it is EXT-X-STREAM-INF if the URI follows one, else EXTINF. It
	// is "" in a JSON document or a WebVTT track.
	Tag string
	// Attr is the attribute, or the member of a JSON document. It is "" if the URI is the value of the tag, or a line of its own.
	Attr string
	// Kind is what the URI names.
	Kind Kind
	// URL is absolute, with variables substituted and bytes otherwise as written. It is relative if the base is.
	URL string
}

// Refs lists the URIs of a playlist in their order, including those of other schemes than http and https, but not empty ones.
// base is the URL of the playlist after redirects; "" leaves references unresolved. The playlist must not change during the
// iteration. A reference with an undefined variable comes as it is written, with an error that wraps ErrUndefined, and the
// iteration goes on. It ends with ErrTooLarge if the URLs together have more bytes than [Rewriter.Append] would write.
func Refs(playlist []byte, base string) iter.Seq2[Ref, error] {
	return new(Rewriter).Refs(playlist, base)
}
