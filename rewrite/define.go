package rewrite

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
)

// variables are those that the EXT-X-DEFINE tags so far have defined (section 4.3 of the HLS draft).
type variables struct {
	values map[string]string
	names  []string // in the order of their definition
	base   string   // the playlist's URL, fragment included
}

func (v *variables) reset(base string) { *v = variables{base: base} }

func (v *variables) set(name, value string) {
	if _, ok := v.values[name]; ok || !isVariableName(name) {
		return
	}
	if v.values == nil {
		v.values = map[string]string{}
	}
	v.values[name] = value
	v.names = append(v.names, name)
}

// definition is an EXT-X-DEFINE tag.
type definition struct {
	name, value string
	param       bool // QUERYPARAM
	imports     bool // IMPORT
	start, end  int  // where that attribute stands, value included
}

// define takes the definition of an EXT-X-DEFINE tag in.
func (v *variables) define(src []byte, t *token) (definition, bool) {
	d, ok := v.definition(src, t)
	if !ok {
		return d, false
	}
	switch {
	case d.param:
		d.value, ok = queryValue(v.base, d.name)
	case d.imports:
		d.value, ok = imported(v.base, d.name)
	}
	if ok {
		v.set(d.name, d.value)
	}
	return d, ok
}

func (v *variables) definition(src []byte, t *token) (d definition, ok bool) {
	attrs := attrList{src: src, pos: t.start, end: t.end}
	for attrs.next() {
		value := attrs.value()
		if attrs.quoted {
			var err error
			if value, err = v.expand(nil, value); err != nil && len(value) > maxExpansion {
				return d, false
			}
		}
		switch string(attrs.name()) {
		case "NAME":
			d.name = string(value)
		case "VALUE":
			d.value = string(value)
			ok = true
		case "QUERYPARAM", "IMPORT":
			d.name = string(value)
			d.param = string(attrs.name()) == "QUERYPARAM"
			d.imports = !d.param
			d.start, d.end = attrs.nameFrom, min(attrs.to+1, attrs.end)
			return d, attrs.quoted
		}
	}
	return d, ok && d.name != ""
}

// substitute returns the text of a token with its variables replaced. ErrUndefined: one of them is not defined.
func (st *state) substitute(t *token) ([]byte, error) {
	text := t.text(st.src)
	if bytes.IndexByte(text, '{') < 0 || !hasVariable(text) {
		return text, nil
	}
	if t.form == bare {
		// Section 4.3 names quoted strings only, so there is nothing that a client would replace here.
		return text, fmt.Errorf("%w outside of quotes", ErrUndefined)
	}
	var err error
	st.text, err = st.vars.expand(st.text[:0], text)
	return st.text, err
}

// foreign tells whether the KEYFORMAT of the key at hand is a foreign one with its variables substituted.
func (st *state) foreign() bool {
	if !hasVariable(st.scan.format) {
		return true
	}
	format, err := st.vars.expand(nil, st.scan.format)
	return err != nil || isForeign(format)
}

// maxExpansion limits what variables can make of a reference or a value, lest a few definitions fill the memory.
const maxExpansion = 64 << 10

// expand appends text with the variables in it replaced, once: what a value brings in is not looked at again.
func (v *variables) expand(dst, text []byte) ([]byte, error) {
	var err error
	for limit := len(dst) + len(text) + maxExpansion; ; {
		name, start, end := variable(text)
		if name == nil {
			return append(dst, text...), err
		}
		if len(dst) > limit {
			return dst, fmt.Errorf("%w: %s makes it too long", ErrUndefined, name)
		}
		dst = append(dst, text[:start]...)
		if value, ok := v.values[string(name)]; ok {
			dst = append(dst, value...)
		} else {
			dst = append(dst, text[start:end]...)
			err = fmt.Errorf("%w: %s", ErrUndefined, name)
		}
		text = text[end:]
	}
}

func hasVariable(text []byte) bool {
	name, _, _ := variable(text)
	return name != nil
}

// variable finds the first {$NAME} in text.
func variable(text []byte) (name []byte, start, end int) {
	for at := 0; ; {
		n := bytes.Index(text[at:], []byte("{$"))
		if n < 0 {
			return nil, 0, 0
		}
		start = at + n
		end = start + 2
		for end < len(text) && isNameByte(text[end]) {
			end++
		}
		if end < len(text) && text[end] == '}' && end > start+2 {
			return text[start+2 : end], start, end + 1
		}
		at = end
	}
}

func isNameByte(c byte) bool {
	return c|0x20-'a' < 26 || c-'0' < 10 || c == '_' || c == '-'
}

func isVariableName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return name != ""
}

// queryValue is the decoded value of a query parameter of a URL; false: it is missing or has none.
func queryValue(rawURL, name string) (string, bool) {
	rawURL, _, _ = strings.Cut(rawURL, "#")
	_, query, _ := strings.Cut(rawURL, "?")
	for param := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(param, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != name || value == "" {
			continue
		}
		if value, err := url.QueryUnescape(value); err == nil {
			return value, true
		}
	}
	return "", false
}
