package hls

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// Piece is something that one line or tag of a media playlist names to be fetched as media.
type Piece struct {
	// Ref is the name as written. It may contain variables.
	Ref  string
	Kind PieceKind
	// From is where the piece begins in the resource; -1: unknown. Length is its length; 0: it is the whole resource.
	From, Length int64
	// Gap: the playlist says that it is missing.
	Gap bool
}

// PieceKind is the kind of a Piece.
type PieceKind uint8

// The kinds of pieces.
const (
	OfSegment PieceKind = iota
	OfPart
	OfSection // a media initialization section
	OfHint    // a resource to come; the request for it blocks until then
)

// HasVariables reports whether the name contains variables, so that the real name is not known yet.
func (p *Piece) HasVariables() bool { return strings.Contains(p.Ref, "{$") }

// Refs lists the names of media in a media playlist, as written: segments, parts, initialization sections, and hinted
// resources, for which hint is true. Names with variables are left out.
func Refs(playlist []byte) iter.Seq2[string, bool] {
	return func(yield func(ref string, hint bool) bool) {
		for line := range lines(playlist) {
			if ref, kind, _ := refOf(line); len(ref) > 0 && !bytes.Contains(ref, []byte("{$")) && !yield(string(ref), kind == OfHint) {
				return
			}
		}
	}
}

// Pieces lists what Refs lists, and names with variables as well, with all details (draft-pantos-hls-rfc8216bis-22 sections
// 4.4.4 and 4.4.5).
func Pieces(playlist []byte) iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		var ends [OfHint + 1]end // by kind
		var next Piece           // the segment that the tags describe
		for line := range lines(playlist) {
			ref, kind, attrs := refOf(line)
			if len(ref) == 0 {
				switch name, value, _ := bytes.Cut(line, []byte(":")); string(name) {
				case "#EXT-X-BYTERANGE":
					next.Length, next.From = ByteRange(value)
				case "#EXT-X-GAP":
					next.Gap = true
				}
				continue
			}
			p := Piece{Kind: kind}
			switch kind {
			case OfSegment:
				p, next = next, Piece{}
			case OfPart, OfSection:
				if text := attribute(attrs, "BYTERANGE"); text != nil {
					p.Length, p.From = ByteRange(text)
				}
				p.Gap = string(attribute(attrs, "GAP")) == "YES"
			}
			p.Ref = string(ref)
			ends[kind].place(&p)
			if !yield(p) {
				return
			}
		}
	}
}

// end is where the range of a piece ended. The next range of the same resource begins there, if it gives no offset.
type end struct {
	ref string
	at  int64
}

func (e *end) place(p *Piece) {
	switch {
	case p.Length <= 0:
		p.From, p.Length = 0, 0
		*e = end{}
		return
	case p.From < 0 && p.Kind == OfSection:
		p.From = 0 // section 4.4.4.5
	case p.From < 0 && e.ref == p.Ref:
		p.From = e.at
	}
	if *e = (end{}); p.From >= 0 && p.From+p.Length <= 1<<53 {
		*e = end{p.Ref, p.From + p.Length}
	}
}

// ByteRange reads "length@offset", with or without quotes; -1: missing (section 4.4.4.2).
func ByteRange(text []byte) (length, offset int64) {
	n, o, _ := bytes.Cut(bytes.Trim(text, "\" \t"), []byte{'@'})
	length, offset = -1, -1
	if v, err := strconv.ParseInt(string(n), 10, 53); err == nil && v >= 0 {
		length = v
	}
	if v, err := strconv.ParseInt(string(o), 10, 53); err == nil && v >= 0 {
		offset = v
	}
	return length, offset
}

// lines are the lines of a playlist that are not blank, without surrounding space.
func lines(playlist []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(playlist) > 0 {
			end := bytes.IndexAny(playlist, "\r\n")
			line := playlist
			if end >= 0 {
				line, playlist = playlist[:end], playlist[end+1:]
			} else {
				playlist = nil
			}
			line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte(bom)))
			if len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}

func refOf(line []byte) (ref []byte, kind PieceKind, attrs []byte) {
	if line[0] != '#' {
		return line, OfSegment, nil
	}
	name, list, _ := bytes.Cut(line, []byte(":"))
	switch string(name) {
	case "#EXT-X-PART":
		return attribute(list, "URI"), OfPart, list
	case "#EXT-X-MAP":
		return attribute(list, "URI"), OfSection, list
	case "#EXT-X-PRELOAD-HINT":
		return attribute(list, "URI"), OfHint, list
	}
	return nil, OfSegment, nil
}

// attribute is the value of an attribute without quotes, nil if there is none. As players do, it takes blanks around names and
// values, and values without quotes. A value without its closing quote may be cut short, and counts as none.
func attribute(list []byte, of string) []byte {
	for {
		end := bytes.IndexAny(list, ",=")
		if end < 0 {
			return nil
		}
		if list[end] == ',' {
			list = list[end+1:]
			continue
		}
		name, value := list[:end], bytes.TrimLeft(list[end+1:], " \t")
		if len(value) > 0 && value[0] == '"' {
			closed := false
			if value, list, closed = bytes.Cut(value[1:], []byte{'"'}); !closed {
				return nil
			}
			_, list, _ = bytes.Cut(list, []byte{','})
		} else {
			value, list, _ = bytes.Cut(value, []byte{','})
		}
		if string(bytes.TrimSpace(name)) == of {
			return bytes.TrimSpace(value)
		}
	}
}
