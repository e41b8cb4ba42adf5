package rewrite

import (
	"bytes"
	"encoding/json"
	"io"
)

// rewriteJSON rewrites the response if it is an asset list or a steering manifest. Any other, also one that is too
// large or cut short, passes as it came.
func (d *document) rewriteJSON() error {
	body := d.resp.Body
	raw, err := readLimited(body, d.limit(), d.resp.ContentLength)
	switch err {
	case ErrTooLarge:
		err = nil // the rest is read later
	case nil:
		if done, err := d.rewriteText(raw); done || err != nil {
			body.Close()
			return err
		}
	}
	seen := bytes.NewBuffer(raw)
	d.resp.Body = &rewound{body: body, seen: seen, err: err}
	return nil
}

// rewriteText rewrites a document by what its text is.
func (d *document) rewriteText(raw []byte) (done bool, _ error) {
	s := &source{body: io.NopCloser(bytes.NewReader(raw))}
	plain, err := decoder(codings(d.resp.Header), s)
	if err != nil {
		return false, nil
	}
	text, err := readLimited(plain, d.limit(), int64(len(raw)))
	if err != nil {
		return false, nil
	}
	if isMagicLine(text[playlistStart(text):]) && looksLikePlaylist(text) {
		s.first, s.plain = text, bytes.NewReader(nil)
		return true, d.rewritePlaylist(s)
	}
	out, err := d.rw.appendJSON(d.pass(len(text)), nil, text)
	if err != nil || bytes.Equal(out, text) {
		return false, err
	}
	d.replace(out)
	d.relabel(len(out))
	return true, nil
}

// jsonText walks a text that is known to be valid JSON, without making values of it.
type jsonText []byte

// space skips white space.
func (t jsonText) space(at int) int {
	for at < len(t) && (t[at] == ' ' || t[at] == '\t' || t[at] == '\n' || t[at] == '\r') {
		at++
	}
	return at
}

// end is where the value that begins at at ends.
func (t jsonText) end(at int) int {
	depth := 0
	for ; at < len(t); at++ {
		switch t[at] {
		case '"':
			at = t.stringEnd(at) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			continue
		default:
			for at+1 < len(t) && bytes.IndexByte([]byte(",:]} \t\r\n"), t[at+1]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at + 1
		}
	}
	return at
}

func (t jsonText) stringEnd(at int) int {
	for at++; t[at] != '"'; at++ {
		if t[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// members calls f with the name and the place of each member of the object that begins at at; none if it is no object.
func (t jsonText) members(at int, f func(name string, start, end int)) {
	if t[at] != '{' {
		return
	}
	for at = t.space(at + 1); t[at] != '}'; {
		end := t.stringEnd(at)
		name := t.decode(at, end)
		start := t.space(t.space(end) + 1)
		end = t.end(start)
		f(string(name), start, end)
		if at = t.space(end); t[at] == ',' {
			at = t.space(at + 1)
		}
	}
}

// elements calls f with the place of each element of the array that begins at at; none if it is no array.
func (t jsonText) elements(at int, f func(start, end int)) {
	if t[at] != '[' {
		return
	}
	for at = t.space(at + 1); t[at] != ']'; {
		end := t.end(at)
		f(at, end)
		if at = t.space(end); t[at] == ',' {
			at = t.space(at + 1)
		}
	}
}

// decode is the value of the string at the place given. Without escapes its bytes are not touched.
func (t jsonText) decode(start, end int) []byte {
	inner := t[start+1 : end-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(t[start:end], &s) != nil {
		return inner
	}
	return []byte(s)
}

// appendJSONString appends u so that it can stand between quotes.
func appendJSONString(dst, u []byte) []byte {
	for _, c := range u {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
