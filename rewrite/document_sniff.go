package rewrite

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/firstbyte"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// hint is what a response should be, by its label and its name.
type hint uint8

const (
	noHint       hint = iota
	playlistHint      // a document that is rewritten
	jsonHint          // a document that may be rewritten
	mediaHint         // media by label and by name: only the first byte is checked
)

func (d *document) hint() hint {
	label, name := hls.ByType(d.resp.Header.Get("Content-Type")), hls.ByName(d.path)
	switch {
	case label == hls.Playlist || name == hls.Playlist:
		return playlistHint
	case (label == hls.Video || label == hls.Audio) && name.IsMedia():
		return mediaHint
	case label == hls.JSON || name == hls.JSON:
		return jsonHint
	}
	return noHint
}

// namesPlaylist reports whether the name of a body is that of a playlist.
func (d *document) namesPlaylist() bool { return hls.ByName(d.path) == hls.Playlist }

// verdict is the result of looking at the first bytes of a body.
type verdict uint8

const (
	undecided  verdict = iota // more bytes are needed
	isPlaylist                // or the whole must be read to know
	isOther                   // not rewritten
	isCaptions                // WebVTT, maybe thumbnails
	isWrong                   // a playlist was expected, and no player takes this for media
)

// judge tells what a body is that begins with first. whole: first is all of it.
func (d *document) judge(hint hint, first []byte, whole bool) verdict {
	is, known := hls.StartsPlaylist(first)
	captions, sure := startsVTT(first)
	switch {
	case is:
		return isPlaylist
	case (!known || !sure) && !whole:
		return undecided
	case captions && hint != playlistHint:
		return isCaptions
	case hint != playlistHint:
		return isOther
	case isMediaPath(d.path):
		return isOther // labelled as a playlist
	}
	switch k := hls.Sniff(first, whole); {
	case k == hls.List:
		return isPlaylist
	case k.IsMedia(), k == hls.Key && !isPrintable(first), k == hls.Key && !d.namesPlaylist():
		return isOther
	case k.IsDocument():
		return isWrong
	case k == hls.Unknown && !whole && len(first) < hls.SniffLen:
		return undecided
	case k == hls.Unknown && !isPrintable(first):
		return isOther
	}
	return isPlaylist // a text in which #EXTM3U may come later
}

// isPrintable tells text from other bytes.
func isPrintable(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f {
			return false
		}
	}
	return true
}

// source is a body under inspection. What was read of it can be put back.
type source struct {
	body  io.ReadCloser
	err   error        // the error that ended reading body
	seen  bytes.Buffer // what was read of body
	done  bool         // inspection has ended: seen does not grow
	plain io.Reader    // decoded
	first []byte       // what was read of plain
}

// mostSeen bounds what is read before the first bytes are known: compressed bytes may go on for ever and stand for nothing.
const mostSeen = 1 << 20

func (s *source) Read(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.seen.Len() > mostSeen:
		return 0, ErrTooLarge // what follows can still be put back
	}
	n, err := s.body.Read(p)
	if !s.done {
		s.seen.Write(p[:n])
	}
	s.err = err
	return n, err
}

// sniff reads only as much of the body as it needs to tell what it is, because a body may be slow or endless.
func (d *document) sniff(s *source, hint hint) (verdict, error) {
	step := 1
	if hint == playlistHint {
		step = hls.SniffLen
	}
	if hint == noHint && d.resp.ContentLength >= 0 && d.resp.ContentLength < int64(len(magic)) {
		return isOther, nil
	}
	var err error
	if s.plain, err = decoder(coding.List(d.resp.Header), s); err != nil {
		return undecided, err
	}
	for {
		have := len(s.first)
		s.first = slices.Grow(s.first, step)
		n, err := s.plain.Read(s.first[have : have+step])
		s.first = s.first[:have+n]
		if order := utf16Order(s.first); order != nil && hint == playlistHint {
			s.plain = &utf16Reader{r: bufio.NewReader(io.MultiReader(bytes.NewReader(s.first[2:]), s.plain)), order: order}
			s.first = nil
			continue
		}
		if v := d.judge(hint, s.first, err == io.EOF); v != undecided || err == io.EOF {
			return v, nil
		}
		if err != nil {
			return undecided, err
		}
	}
}

// putBack gives the response its original body back.
func (d *document) putBack(s *source) {
	err := s.err
	if err == io.EOF {
		err = nil
	}
	r := rewound{body: s.body, seen: &s.seen, err: err}
	d.resp.Body = &r
	if to, ok := s.body.(io.WriterTo); ok {
		d.resp.Body = &rewoundWriterTo{r, to}
	}
	real := coding.List(d.resp.Header)
	if len(real) > 0 && real[len(real)-1] == "gzip" && s.seen.Len() > 1 && !bytes.HasPrefix(s.seen.Bytes(), []byte(gzipMagic)) {
		d.resp.Header.Del("Content-Encoding")
	}
}

// wrong is the error for a body that is not the expected playlist. It quotes the beginning, for the log.
func wrong(first []byte) error {
	const words = 80
	return badGateway(fmt.Sprintf("response is no playlist: it begins with %q", first[:min(len(first), words)]), nil)
}

// look looks at the first byte of a body that is media by label and name, and reports whether a playlist can begin like this.
func (d *document) look() bool {
	resp := d.resp
	if resp.Body == nil || resp.ContentLength > d.limit() || resp.ContentLength >= 0 && resp.ContentLength < int64(len(magic)) {
		return false
	}
	if first, err := firstbyte.Of(resp.Body); !errors.Is(err, errors.ErrUnsupported) {
		return err == nil && hls.MayStartPlaylist(first) // the next Read returns the error again
	}
	l := &looked{body: resp.Body}
	for l.left == 0 && l.err == nil {
		l.left, l.err = l.body.Read(l.first[:])
	}
	if l.err == io.EOF {
		l.err = nil
	}
	resp.Body = l
	if _, ok := l.body.(io.WriterTo); ok {
		resp.Body = (*lookedWriterTo)(l)
	}
	return l.left > 0 && hls.MayStartPlaylist(l.first[0])
}

// looked is a body whose first byte has been read.
type looked struct {
	body  io.ReadCloser
	err   error
	left  int // of first
	first [1]byte
}

// Read returns the first byte together with what follows, so that it does not go out in a Write of its own.
func (l *looked) Read(p []byte) (n int, err error) {
	if l.left > 0 && len(p) > 0 {
		l.left, n = 0, copy(p, l.first[:])
		if len(p) == n {
			return n, nil
		}
	}
	if l.err != nil {
		return n, l.err
	}
	m, err := l.body.Read(p[n:])
	return n + m, err
}

func (l *looked) Close() error { return l.body.Close() }

// lookedWriterTo is for looked what rewoundWriterTo is for rewound.
type lookedWriterTo looked

func (l *lookedWriterTo) Read(p []byte) (int, error) { return (*looked)(l).Read(p) }

func (l *lookedWriterTo) Close() error { return l.body.Close() }

func (l *lookedWriterTo) WriteTo(w io.Writer) (n int64, err error) {
	if l.left > 0 {
		l.left = 0
		if _, err = w.Write(l.first[:]); err != nil {
			return 0, err
		}
		n = 1
	}
	if l.err != nil {
		return n, l.err
	}
	m, err := l.body.(io.WriterTo).WriteTo(w)
	return n + m, err
}

// otherType is the type of a body that was labelled as a playlist and is none.
func otherType(path string, first []byte) string {
	if isMediaPath(path) {
		return hls.TypeByName(path)
	}
	return hls.TypeOf(first)
}

// rewound is a body whose beginning has been read.
type rewound struct {
	body io.ReadCloser
	seen *bytes.Buffer
	err  error // the error that ended reading the beginning
}

func (r *rewound) Read(p []byte) (int, error) {
	if r.seen.Len() > 0 {
		return r.seen.Read(p)
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.body.Read(p)
}

func (r *rewound) Close() error { return r.body.Close() }

// rewoundWriterTo keeps the WriterTo of a body that streams in large writes and flushes when needed. A body without one is read
// instead: then only the reader knows when to flush.
type rewoundWriterTo struct {
	rewound
	to io.WriterTo
}

func (r *rewoundWriterTo) WriteTo(w io.Writer) (int64, error) {
	n, err := r.seen.WriteTo(w)
	if err != nil {
		return n, err
	}
	if r.err != nil {
		return n, r.err
	}
	m, err := r.to.WriteTo(w)
	return n + m, err
}

// looksLikePlaylist reports whether a text with the label of a playlist is one.
func looksLikePlaylist(text []byte) bool {
	start := playlistStart(text)
	if !isMagicLine(text[start:]) {
		return false
	}
	first := bytes.TrimLeft(bytes.TrimPrefix(text, []byte(bom)), " \t\r\n")
	return first[0] != '<' && first[0] != '{' && first[0] != '['
}
