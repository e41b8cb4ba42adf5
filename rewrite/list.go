package rewrite

import "bytes"

// isList tells an IPTV list from a playlist.
func isList(playlist []byte) bool {
	head := playlist
	if i := bytes.Index(playlist, []byte("#EXTINF:")); i >= 0 {
		head = playlist[:i]
	}
	return !bytes.Contains(head, []byte("#EXT-X-TARGETDURATION")) && !bytes.Contains(head, []byte("#EXT-X-STREAM-INF"))
}

// entries is a pass over an IPTV list.
type entries struct{ *state }

// appendEntry appends the lines before an entry of an IPTV list, and its URI, to what begins at begin. What is said about
// requests for it goes to the Mapper, or stays for a player that asks the origin itself.
func (st entries) appendEntry(dst []byte, begin int, t *token) (_ []byte, err error) {
	end := t.end
	hints := cutHints(st.state, t)
	if st.Hints {
		hints.readAll(st.src[st.done:t.start])
	}
	st.hints, st.reached = hints.header, false
	st.entryText, err = st.appendURI(st.entryText[:0], t)
	reached := st.reached
	st.hints = nil
	if err != nil {
		return dst, err
	}
	if dst, err = st.appendBefore(dst, begin, t.start, reached && st.hinted != nil); err != nil {
		return dst, err
	}
	dst = append(dst, st.entryText...)
	if !reached {
		dst = append(dst, st.src[t.end:end]...)
	}
	st.done = end
	return dst, nil
}

// linesOf are those of a text, with their ends.
func linesOf(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			n := bytes.IndexAny(text, "\r\n") + 1
			if n == 0 {
				n = len(text)
			} else if text[n-1] == '\r' && n < len(text) && text[n] == '\n' {
				n++
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// appendBefore appends what stands before an entry, without its hints if they are taken.
func (st entries) appendBefore(dst []byte, begin, end int, taken bool) (_ []byte, err error) {
	at := st.done
	for line := range linesOf(st.src[st.done:end]) {
		var h hints
		start := at
		at += len(line)
		if st.Hints && taken && h.read(line) {
			continue
		}
		if dst, err = st.appendListLine(dst, begin, start, at, taken); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
