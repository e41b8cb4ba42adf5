package ahead

import (
	"net/url"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// outlines knows the order of the pieces in the playlists that viewers have asked for lately. Two generations bound it without
// a sweep.
type outlines struct {
	young, old generation
}

type generation struct {
	lists  map[uint64]*outline // by the hash of the playlist's key
	names  map[uint64]*piece   // by that of a piece
	weight int
}

const (
	generationWeight = 8 << 20 // bytes, about
	mostOutlined     = 8192    // pieces of a playlist
	outlineWeight    = generationWeight / 4
	pieceWeight      = 256
)

// outline is one playlist.
type outline struct {
	list   uint64
	base   *url.URL
	host   string   // scheme and host of the playlist and of all pieces
	pieces []*piece // in their order
	weight int

	front  *piece    // the furthest one that viewers have asked for lately
	asked  time.Time // when that was
	paused time.Time // since when nothing is fetched, because a piece could not be fetched
}

// piece is a segment or a part, or the initialization section they need.
type piece struct {
	of           *outline
	name         uint64 // the hash of its key and, for a range, of where it begins
	key          uint64 // the hash of its key
	ref          string
	from, length int64 // length 0: the whole
	at           int   // in the outline
	kind         hls.PieceKind
	gap          bool
	next         *piece // the next piece of its kind
	section      *piece

	jump  *piece    // the piece that a player said it will go on with
	asked time.Time // when a viewer asked for it
	tried time.Time // when it was tried ahead
	here  bool      // it was fetched then
	used  bool      // and a viewer has asked for it
}

func nameOf(key string, from, length int64) uint64 {
	if length > 0 {
		key += "\x00" + strconv.FormatInt(from, 10)
	}
	return evict.Hash(key)
}

// find returns the piece with this name. It also keeps its playlist from being forgotten soon.
func (o *outlines) find(name uint64) *piece {
	if p := o.young.names[name]; p != nil {
		return p
	}
	p := o.old.names[name]
	if p != nil {
		o.old.remove(p.of)
		o.put(p.of)
	}
	return p
}

// first returns the first piece of these names that is known.
func (o *outlines) first(names []uint64) *piece {
	for _, name := range names {
		if p := o.find(name); p != nil {
			return p
		}
	}
	return nil
}

// take removes and returns the outline of a playlist, nil if it is not known.
func (o *outlines) take(list uint64) *outline {
	for _, g := range [...]*generation{&o.young, &o.old} {
		if l := g.lists[list]; l != nil {
			g.remove(l)
			return l
		}
	}
	return nil
}

func (o *outlines) put(l *outline) {
	if o.young.weight+l.weight > generationWeight || o.young.lists == nil {
		o.old, o.young = o.young, generation{lists: map[uint64]*outline{}, names: map[uint64]*piece{}}
	}
	o.young.lists[l.list] = l
	o.young.weight += l.weight
	for _, p := range l.pieces {
		o.young.names[p.name] = p
	}
}

func (g *generation) remove(l *outline) {
	delete(g.lists, l.list)
	g.weight -= l.weight
	for _, p := range l.pieces {
		if g.names[p.name] == p {
			delete(g.names, p.name)
		}
	}
}

// outlineOf is the outline of a playlist whose key is list, by the keys that its names have. Nil: it names nothing.
func outlineOf(p *listing.Playlist, list string, info hls.Info, keyOf func(*url.URL) (string, error)) *outline {
	l := &outline{list: evict.Hash(list), base: p.Base, host: wire.Origin(p.Base), weight: 2*pieceWeight + len(p.URL)}
	known := map[uint64]*piece{}
	skip := 0
	if !info.Ended() { // keep the end of the list, which viewers will ask for
		skip = max(int(info.Segments+info.Parts)-mostOutlined, 0)
	}
	var section *piece
	for one, ref := range p.Pieces() {
		if one.Kind == hls.OfSegment && skip > 0 {
			skip--
			continue
		}
		if ref == "" || one.Length > 0 && one.From < 0 {
			continue
		}
		if len(l.pieces) == mostOutlined || l.weight > outlineWeight {
			break
		}
		u, err := p.Base.Parse(ref)
		if err != nil || wire.Origin(u) != l.host { // anybody can write a playlist that names files of others
			continue
		}
		key, err := keyOf(u)
		if err != nil {
			return nil
		}
		p := &piece{
			of: l, name: nameOf(key, one.From, one.Length), key: evict.Hash(key), ref: ref,
			from: one.From, length: one.Length, kind: one.Kind, gap: one.Gap, section: section,
		}
		old := known[p.name]
		if one.Kind == hls.OfSection {
			if section = old; old == nil || old.kind != hls.OfSection {
				section = p
			}
		}
		if old != nil {
			continue
		}
		known[p.name] = p
		l.weight += pieceWeight + len(ref)
		l.pieces = append(l.pieces, p)
	}
	return l
}

// outlined takes in a new version of a playlist. It keeps what is known about a piece.
func (o *outlines) outlined(l *outline, partial bool) {
	old := o.take(l.list)
	if old == nil {
		l.link()
		o.put(l)
		return
	}
	before := make(map[uint64]*piece, len(old.pieces))
	for _, p := range old.pieces {
		before[p.name] = p
	}
	l.front, l.asked, l.paused = old.front, old.asked, old.paused
	known := func(p *piece) *piece {
		q := before[p.name]
		if q == nil {
			return p
		}
		q.of, q.ref, q.kind, q.gap, q.section = l, p.ref, p.kind, p.gap, p.section
		return q
	}
	for i, p := range l.pieces {
		if p.section != nil {
			p.section = known(p.section)
		}
		l.pieces[i] = known(p)
	}
	if partial && len(l.pieces) > 0 { // a delta update leaves out the older pieces
		if first := before[l.pieces[0].name]; first != nil {
			for _, p := range old.pieces[:first.at] {
				p.of = l
				l.weight += pieceWeight + len(p.ref)
			}
			l.pieces = append(old.pieces[:first.at:first.at], l.pieces...)
		}
		for len(l.pieces) > mostOutlined || l.weight > outlineWeight {
			l.weight -= pieceWeight + len(l.pieces[0].ref)
			l.pieces = l.pieces[1:]
		}
	}
	l.link()
	if l.front != nil && (l.front.at >= len(l.pieces) || l.pieces[l.front.at] != l.front) {
		l.front = nil
	}
	o.put(l)
}

// link connects each piece with the next one of its kind.
func (l *outline) link() {
	var last [hls.OfHint + 1]*piece
	for i, p := range l.pieces {
		p.at, p.next, p.jump = i, nil, nil
		if before := last[p.kind]; before != nil {
			before.next = p
		}
		last[p.kind] = p
	}
}
