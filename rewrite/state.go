package rewrite

import (
	"context"
	"net/http"
	"sync"
)

// state is the memory of one pass over a playlist. It is reused, so that a pass leaves no garbage.
type state struct {
	scan scanner
	base base
	plan plan
	vars variables
	pace pace

	abs    []byte // the current reference, resolved
	text   []byte // the current reference, variables substituted
	read   []byte // the current reference, as a browser reads it
	choice choice // which parts of it the client has chosen

	heritage inheritance
	window   windowed

	given  given // values for variables from the playlist's URL
	public struct {
		given      // values from the client's URL of the playlist
		asked bool // it was asked for
	}

	*Rewriter             // nil for Refs
	alike     AlikeSigner // the Rewriter's, if it is one
	kinds     KindMapper  // the Rewriter's, if it is one
	usual     string      // the extension of segments, for kinds; it does not depend on what is left of the playlist
	segment   string      // the extension of the next segments
	section   []byte      // the initialization section that decides it; nil: it is known, or usual decides it
	noted     uint8       // what units note of it; 0: it is not known yet
	unread    []byte      // the playlist that tells usual; nil: usual is known
	hinted    HintMapper  // the Rewriter's, if it is one
	hints     http.Header // what the list says about requests for the current reference
	list      bool        // the playlist is an IPTV list
	reached   bool        // the Mapper covered a reference
	entryText []byte      // the result for the current entry
	ctx       context.Context
	src       []byte
	relation  relation
	entry     string // the requested URL, if it is another one
	most      int    // bytes that the result may have
	pass      int    // counts the playlists

	piece    piece // which piece src is
	done     int   // how much of src is done
	children bool  // there were playlists of a multivariant playlist

	pruned bool   // unmapped URIs have been dropped
	looked bool   // the whole playlist was searched for variables
	carry  string // the fragment that carries variables to its children
	report string // the fragment of this playlist's URL, which its siblings have too
}

// states keeps the buffers of finished passes.
var states = sync.Pool{New: func() any { return new(state) }}

func newState() *state { return states.Get().(*state) }

// open sets up a pass.
func (st *state) open(rw *Rewriter, p pass) {
	st.Rewriter, st.ctx, st.relation, st.most, st.entry = rw, p.ctx, p.relation, p.most, p.entry
	st.piece = p.piece
	st.alike, _ = rw.Sign.(AlikeSigner)
	st.kinds, _ = rw.Map.(KindMapper)
	st.hinted, _ = rw.Map.(HintMapper)
}

// begin prepares for a playlist.
func (st *state) begin(playlist []byte, base string) {
	if st.base.set(base) {
		st.plan.mapper = nil
	}
	st.pace = pace{ctx: st.ctx}
	st.given = given{url: base, vouched: st.Rewriter != nil && signsVariables(st.Sign)}
	st.public.given, st.public.asked = given{}, false
	st.list, st.hints = false, nil
	if st.usual, st.unread = "", nil; st.kinds != nil {
		st.unread = playlist
	}
	st.restart(playlist)
	st.report = carriedBy(base)
	st.pruned = false
	if st.Rewriter != nil {
		st.heritage.take(st.Inherit, base, st.entry)
	}
	st.looked, st.carry, st.choice = false, "", nothing
	st.plan.memo.Begin()
	st.pass++
}

func (st *state) restart(playlist []byte) {
	st.src = playlist
	st.resetScan(&st.scan)
	st.scan.pace = &st.pace
	st.vars.reset(&st.given, len(playlist))
	st.section = nil
	if st.setSegment(st.usual); st.unread != nil {
		st.noted = 0
	}
}

// resetScan begins with the current piece. Only a whole document, or its first piece, may have text before the playlist.
func (st *state) resetScan(s *scanner) {
	if st.piece == laterPiece {
		*s = scanner{src: st.src, lf: -1}
		s.attrs.src = st.src
		return
	}
	s.reset(st.src)
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
	st.scan = scanner{}
	st.vars, st.given, st.public.given, st.pace = variables{}, given{}, given{}, pace{}
	st.heritage.take(nil, "", "")
	st.hinted, st.hints, st.list, st.piece = nil, nil, false, entire
	st.Rewriter, st.alike, st.kinds, st.ctx, st.src, st.unread, st.entry = nil, nil, nil, nil, nil, nil, ""
	st.section = nil
	states.Put(st)
}

// pace counts the work for a playlist, in bytes read or written and in tokens, and ends the pass when its context ends.
type pace struct {
	ctx  context.Context // nil: nothing ends the pass
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
