package rewrite

import "context"

// pace counts the work that a playlist makes, in bytes that are looked at or written and in tokens, and ends it with its
// context.
type pace struct {
	ctx  context.Context // nil: nothing ends it
	done int             // so far
	look int             // when to look at the context next
	err  error           // of the context
}

const (
	perToken = 256     // what a token counts, in bytes
	perLook  = 1 << 20 // a millisecond or a few
)

// soon says that a hook is called, which may take its time.
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
