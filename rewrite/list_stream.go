package rewrite

import (
	"bytes"
	"io"
	"slices"
)

// The pieces of a list that goes through as it comes.
const (
	listPiece = 256 << 10 // bytes that are read at a time, at most
	listHead  = 1 << 20   // bytes that tell what it is; also of an entry, at most
)

// listBody is the body of a list, rewritten some entries at a time.
type listBody struct {
	d    *document
	s    *source
	pass *pass // for the next piece

	text          []byte // read, and not rewritten yet
	looked        int    // how much of it is lines that are no URIs
	fresh         bool   // there are more lines than were looked at
	out           []byte // rewritten, and not taken yet
	room          []byte // of out, to be used again
	read, written int    // bytes so far
	err           error  // that comes after out
	ended         bool   // there is no more to read
}

// Read implements io.Reader.
func (b *listBody) Read(p []byte) (int, error) {
	for len(b.out) == 0 && b.err == nil {
		b.err = b.next()
	}
	if len(b.out) == 0 {
		return 0, b.err
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *listBody) Close() error { return b.s.body.Close() }

// next rewrites the entries that are there, or reads more.
func (b *listBody) next() error {
	n := 0
	if b.fresh {
		n, b.fresh = lastEntry(b.text, b.looked), false
		b.looked = bytes.LastIndexByte(b.text, '\n') + 1
	}
	switch {
	case b.ended && len(b.text) == 0:
		return io.EOF
	case b.ended:
		n = len(b.text)
	case n == 0 && len(b.text) > listHead:
		return badGateway("an entry of the list is too large", ErrTooLarge)
	case n == 0:
		return b.more()
	}
	if defines(b.text[:n]) {
		return badGateway("a list defines variables behind its first MiB", ErrUndefined)
	}
	b.read += n
	b.pass.most = b.d.most(b.read) - b.written
	out, err := b.d.rw.append(b.pass, b.room[:0], b.text[:n])
	if err != nil {
		return err
	}
	b.pass.piece = laterPiece
	b.written += len(out)
	b.room, b.out = out, out
	if cap(out) > 4*listHead { // one piece that grew large is not worth keeping
		b.room = nil
	}
	b.text = b.text[:copy(b.text, b.text[n:])]
	b.looked = max(b.looked-n, 0)
	return nil
}

// defines tells whether there is a variable. A player would put it into all entries behind it, but each piece is rewritten
// alone.
func defines(text []byte) bool { return bytes.Contains(text, []byte("#EXT-X-DEFINE")) }

// more reads what there is.
func (b *listBody) more() error {
	had := len(b.text)
	b.text = slices.Grow(b.text, listPiece)
	n, err := b.s.plain.Read(b.text[had : had+listPiece])
	b.text = b.text[:had+n]
	b.fresh = bytes.IndexByte(b.text[had:], '\n') >= 0
	switch {
	case int64(b.read)+int64(len(b.text)) > b.d.limit():
		return badGateway("response is too large", ErrTooLarge)
	case err == io.EOF:
		b.ended = true
	case err != nil:
		return b.s.failure(err)
	}
	return nil
}

// lastEntry is where the last complete line behind from ends that is a URI; 0: there is none.
func lastEntry(text []byte, from int) int {
	for end := bytes.LastIndexByte(text, '\n') + 1; end > from; {
		start := from + bytes.LastIndexByte(text[from:end-1], '\n') + 1
		if line := bytes.Trim(text[start:end], " \t\r\n"); len(line) > 0 && line[0] != '#' {
			return end
		}
		end = start
	}
	return 0
}
