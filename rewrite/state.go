package rewrite

import (
	"bytes"
	"context"
	"net/http"
	"sync"
)

// state is the memory of one pass over a playlist. It is reused, so that a pass leaves no garbage.
type state struct {
	current

	base   base
	plan   plan
	window windowed
	passes int // so far

	abs       []byte // the current reference, resolved
	text      []byte // the current reference, variables substituted
	read      []byte // the current reference, as a browser reads it
	entryText []byte // the result for the current entry
}

// current is what belongs to one pass alone.
type current struct {
	*Rewriter
	pass
	src  []byte
	scan scanner
	vars variables
	pace pace

	choice   choice // which parts of the current reference the client has chosen
	heritage inheritance
	given    given // values for variables from the playlist's URL
	public   struct {
		given      // values from the client's URL of the playlist
		asked bool // it was asked for
	}

	naming
	alike   AlikeSigner // the Rewriter's, if it is one
	hinted  HintMapper  // the Rewriter's, if it is one
	hints   http.Header // what the list says about requests for the current reference
	list    bool        // the playlist is an IPTV list
	reached bool        // the Mapper covered a reference
	meant   []byte      // the current reference, if what is mapped has other words in it; nil: it has none

	done     int    // how much of src is done
	children bool   // there were playlists of a multivariant playlist
	pruned   bool   // unmapped URIs have been dropped
	looked   bool   // the whole playlist was searched for variables
	carry    string // the fragment that carries variables to its children
}

// states keeps the buffers of finished passes.
var states = sync.Pool{New: func() any { return new(state) }}

// open begins a pass over a playlist.
func open(rw *Rewriter, p *pass, playlist []byte) *state {
	st := states.Get().(*state)
	st.Rewriter, st.pass = rw, *p
	if st.base.set(p.url) {
		st.plan.mapper = nil
	}
	st.pace.ctx, st.pace.most = p.ctx, p.most
	st.given.url, st.given.signer = p.url, rw.Sign
	if rw.Sign != nil {
		st.alike, _ = rw.Sign.(AlikeSigner)
	}
	if st.kinds, _ = rw.Map.(KindMapper); st.kinds != nil {
		st.unread = playlist
	}
	if len(rw.Inherit) > 0 {
		st.heritage.take(rw.Inherit, p.url, p.entry)
	}
	st.start(playlist)
	st.plan.memo.Begin()
	st.passes++
	return st
}

// start goes to the beginning of a playlist.
func (st *state) start(playlist []byte) {
	st.src = playlist
	st.startScan(&st.scan)
	st.scan.pace = &st.pace
	st.vars.start(&st.given, len(playlist))
}

// restart goes there when something has been read already.
func (st *state) restart(playlist []byte) {
	st.scan, st.vars = scanner{}, variables{buf: st.vars.buf[:0], chosen: st.vars.chosen[:0]}
	st.start(playlist)
	st.section = nil
	if st.setSegment(st.usual); st.unread != nil {
		st.noted = 0
	}
}

// startScan begins with the current piece. Only a whole document, or its first piece, may have text before the playlist.
func (st *state) startScan(s *scanner) {
	pos := 0
	if st.piece != laterPiece {
		pos = playlistStart(st.src)
	}
	s.start(st.src, pos)
}

// run appends the playlist rewritten, with what is cut from it left out.
func (st *state) run(dst, playlist []byte) ([]byte, error) {
	rw := st.Rewriter
	if st.piece == laterPiece {
		st.unread, st.usual = nil, *st.behind
		st.setSegment(st.usual)
	}
	if (rw.Hints || rw.Guides) && (st.piece != entire || isList(playlist)) {
		st.list, st.unread, st.usual = true, nil, ""
		st.setSegment("")
		st.hinted, _ = rw.Map.(HintMapper)
	}
	if rw.Variant != nil || rw.Rendition != nil {
		if bytes.Contains(playlist, []byte("#"+streamInf.name+":")) {
			st.restart(filter(st, playlist))
		}
	}
	if rw.Window.isSet() {
		cut, err := st.window.cut(&rw.Window, &st.pace, st.src)
		if err != nil {
			return dst, err
		}
		st.restart(cut)
	}
	if st.plan.prepare(rw, &st.base); st.list {
		st.plan.mapper = nil
	}
	out, err := st.rewrite(dst)
	if err != nil {
		return dst, err
	}
	if st.behind != nil {
		st.knowSegments()
		*st.behind = st.segment
	}
	return out, nil
}

// free gives the state back. It keeps the base and its plan, because the next pass is often over the next version of the same
// playlist.
func (st *state) free() {
	const keep = 64 << 10 // a buffer for one huge URI is not worth keeping
	if cap(st.abs) > keep || cap(st.text) > keep || cap(st.read) > keep || cap(st.base.text) > keep || cap(st.entryText) > keep {
		return
	}
	if st.window.isLarge() {
		st.window = windowed{}
	}
	st.window.Window, st.window.src, st.window.pace = nil, nil, nil
	st.current = current{}
	states.Put(st)
}

// pace counts the work for a playlist, in bytes read or written and in tokens. It ends the pass when its context ends, or when
// its result becomes too large.
type pace struct {
	ctx  context.Context // nil: nothing ends the pass
	most int             // bytes that the result may have
	done int             // so far
	look int             // when to check the context next
	err  error           // of the context
}

const (
	perToken = 256     // the cost of a token, in bytes
	perLook  = 1 << 20 // a few milliseconds
)

// soon says that a hook will be called, which may be slow.
func (p *pace) soon() { p.look -= perLook / 8 }

// work counts n bytes, and reports whether to go on.
func (p *pace) work(n int) bool {
	p.done += n
	if p.done >= p.look && p.err == nil {
		p.look = p.done + perLook
		if p.ctx != nil {
			p.err = p.ctx.Err()
		}
	}
	return p.err == nil
}

// check ends a pass whose result is too large, or whose context has ended. grown is how many bytes were just written.
func (p *pace) check(written, grown int) error {
	p.done += grown + perToken
	if written <= p.most && p.done < p.look {
		return nil // inlined
	}
	return p.stop(written)
}

func (p *pace) stop(written int) error {
	if written > p.most {
		return badGateway("rewritten playlist is too large", ErrTooLarge)
	}
	p.work(0)
	return p.err
}
