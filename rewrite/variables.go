package rewrite

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Bounds for variables (section 4.3 of the HLS draft): a few definitions could otherwise fill the memory.
const (
	maxExpansion = 64 << 10 // bytes that variables add to one reference or value
	maxVariables = 16 << 10
	maxValues    = 1 << 20 // bytes of all values
	many         = 256     // more than playlists usually have
	maxCarried   = 1024    // bytes of a fragment; some players read URLs of 4,096 bytes at most
)

// expansions is how many bytes the variables of a playlist may add to all its references and values.
func expansions(playlist int) int { return min(32*playlist, max(8<<20, playlist)) + maxExpansion }

// variable is a value that an EXT-X-DEFINE tag gives to a name.
type variable struct {
	value  string
	client bool // the client chose at least a part of it
}

// variables are the definitions of the EXT-X-DEFINE tags so far.
type variables struct {
	given  *given
	values map[string]variable
	names  []string // in the order of their definition
	size   int      // of all values
	left   int      // bytes that references may still grow by
	room   int      // bytes that values in definitions may still grow by
	buf    []byte
	full   bool   // the last expansion was too large
	missed []byte // the name at which it stopped, or which is undefined; nil: no failure
	chosen []span // the parts of it that the client chose
}

// start prepares for a playlist of this length.
func (v *variables) start(g *given, length int) {
	v.given, v.left, v.room = g, expansions(length), 4*maxValues
}

// set defines a variable, unless it is defined already or there is no room for it.
func (v *variables) set(name string, value variable) {
	if !isVariableName(name) || len(v.names) == maxVariables || v.size+len(value.value) > maxValues {
		return
	}
	if v.values == nil {
		v.values = map[string]variable{}
	}
	if len(v.names) == many {
		grown := make(map[string]variable, maxVariables/2)
		maps.Copy(grown, v.values)
		v.values = grown
	}
	v.values[name] = value
	v.names = append(v.names, name)
	v.size += len(value.value)
}

// definition is an EXT-X-DEFINE tag.
type definition struct {
	variable
	name       []byte
	kind       definitionKind
	start, end int // where the attribute that tells the kind is, with its value
}

type definitionKind uint8

const (
	named      definitionKind = iota // NAME and VALUE
	queryParam                       // QUERYPARAM
	imports                          // IMPORT
)

// define reads the definition in an EXT-X-DEFINE tag. It returns false if it defines nothing, or something that is defined
// already.
func (v *variables) define(src []byte, t *token) (definition, bool) {
	d, ok := v.definition(src, t)
	if !ok {
		return d, false
	}
	if _, defined := v.values[string(d.name)]; defined {
		return d, false
	}
	switch d.kind {
	case queryParam:
		d.value, ok = v.given.param(d.name)
		d.client = true
	case imports:
		d.variable, ok = v.given.imported(d.name)
	}
	if ok {
		v.set(string(d.name), d.variable)
	}
	return d, ok
}

func (v *variables) definition(src []byte, t *token) (d definition, ok bool) {
	attrs := attrList{src: src, pos: t.start, end: t.end}
	v.buf = v.buf[:0]
	for attrs.next() {
		value, client := attrs.value(), false
		if attrs.quoted && bytes.IndexByte(value, '{') >= 0 && hasVariable(value) {
			start := len(v.buf)
			if v.buf, _ = v.expand(v.buf, value, &v.room); v.full {
				return d, false
			}
			value = v.buf[start:]
			client = len(v.chosen) > 0
		}
		switch string(attrs.name()) {
		case "NAME":
			d.name = value
		case "VALUE":
			d.value, ok = string(value), true
		case "QUERYPARAM":
			d.name, d.kind = value, queryParam
		case "IMPORT":
			d.name, d.kind = value, imports
		default:
			continue
		}
		d.client = d.client || client
		if d.kind != named {
			d.start, d.end = attrs.nameFrom, min(attrs.to+1, attrs.end)
			return d, attrs.quoted
		}
	}
	return d, ok && len(d.name) > 0
}

// expand appends text with its variables replaced, once: variables in values are not replaced. left is how many bytes they may
// add.
func (v *variables) expand(dst, text []byte, left *int) ([]byte, bool) {
	v.chosen, v.full, v.missed = v.chosen[:0], false, nil
	for limit := len(dst) + len(text) + maxExpansion; ; {
		name, start, end := reference(text)
		if name == nil {
			return append(dst, text...), v.missed == nil
		}
		dst = append(dst, text[:start]...)
		known, ok := v.values[string(name)]
		switch {
		case !ok:
			v.missed = name
			dst = append(dst, text[start:end]...)
		case len(known.value) > min(*left, limit-len(dst)):
			v.full, v.missed = true, name
			return dst, false
		default:
			if known.client {
				v.chosen = append(v.chosen, span{len(dst), len(dst) + len(known.value)})
			}
			dst = append(dst, known.value...)
			*left -= len(known.value)
		}
		text = text[end:]
	}
}

// undefined is the error of the last expansion.
func (v *variables) undefined() error {
	if v.full {
		return fmt.Errorf("%w: %s makes too much of it", ErrUndefined, v.missed)
	}
	return fmt.Errorf("%w: %s", ErrUndefined, v.missed)
}

// choice says how much of a reference the client's values have decided.
type choice uint8

const (
	nothing   choice = iota // nothing of its path
	directory               // maybe the directory of its path
	all                     // where its path ends
)

// clientsChoice examines the text of the last expansion.
func (v *variables) clientsChoice(text []byte) choice {
	if len(v.chosen) == 0 {
		return nothing
	}
	end := bytes.IndexAny(text, "?#")
	if end < 0 {
		end = len(text)
	}
	for _, s := range v.chosen {
		if s.start <= end && end < s.end { // it has the byte that ends the path
			return all
		}
	}
	first := v.chosen[0].start
	if first >= end {
		return nothing
	}
	// In a file name, a plain value decides only the name.
	name := bytes.LastIndexByte(text[:first], '/') + 1
	for _, c := range text[first:end] {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("/\\%:;", c) >= 0 {
			return directory
		}
	}
	if name == 0 || isDots(text[name:end]) {
		return directory
	}
	return nothing
}

func isDots(segment []byte) bool { return len(bytes.Trim(segment, ".")) == 0 }

func hasVariable(text []byte) bool {
	name, _, _ := reference(text)
	return name != nil
}

// reference finds the first {$NAME} in text.
func reference(text []byte) (name []byte, start, end int) {
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

// given are values for variables from the URL of a playlist. They are read once, when first needed.
type given struct {
	url     string // with the fragment
	signer  Signer // of the URL; nil: it is not signed
	params  map[string]string
	carried map[string]variable
}

// param is the decoded value of a query parameter. It returns false if there is none or it is empty.
func (g *given) param(name []byte) (string, bool) {
	if g.params == nil {
		g.params = queryOf(g.url)
	}
	value, ok := g.params[string(name)]
	return value, ok
}

// queryOf has the first value that is not empty of each query parameter in a URL, decoded.
func queryOf(rawURL string) map[string]string {
	rawURL, _, _ = strings.Cut(rawURL, "#")
	_, query, _ := strings.Cut(rawURL, "?")
	params := map[string]string{}
	unescape := url.QueryUnescape
	if strings.IndexByte(query, '%') < 0 && strings.IndexByte(query, '+') < 0 {
		unescape = func(plain string) (string, error) { return plain, nil }
	}
	for param := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(param, "=")
		if value == "" {
			continue
		}
		key, err := unescape(key)
		if err != nil || !isVariableName(key) || params[key] != "" {
			continue
		}
		if value, err = unescape(value); err == nil {
			params[key] = value
		}
	}
	return params
}

// EXT-X-DEFINE:IMPORT takes a variable from the multivariant playlist (section 4.4.2.3 of the HLS draft), which is not
// available when the media playlist is rewritten. So its variables travel in the URL of each child, as the fragment of the
// upstream URL that is mapped: any Mapper that keeps its law carries it, and no origin ever sees it. A name whose value the
// client chose ends in chosenMark.

const chosenMark = "."

// imported is the value that the URL of a media playlist carries for a variable.
func (g *given) imported(name []byte) (variable, bool) {
	if g.carried == nil {
		g.carried = map[string]variable{}
		fragment := carriedBy(g.url)
		for pair := range strings.SplitSeq(strings.TrimPrefix(fragment, "#"+hls.VariablesMark), ";") {
			key, value, _ := strings.Cut(pair, "=")
			key, client := strings.CutSuffix(key, chosenMark)
			if _, known := g.carried[key]; known || fragment == "" {
				continue
			}
			if value, err := url.QueryUnescape(value); err == nil {
				g.carried[key] = variable{value: value, client: client || !signsVariables(g.signer)}
			}
		}
	}
	value, ok := g.carried[string(name)]
	return value, ok
}

// carriedBy is the fragment of a URL, with "#", if it carries variables, or else "".
func carriedBy(rawURL string) string {
	i := strings.IndexByte(rawURL, '#')
	if i < 0 || !strings.HasPrefix(rawURL[i+1:], hls.VariablesMark) {
		return ""
	}
	return rawURL[i:]
}

// fragment is the fragment that carries the variables to a child. "": there are none, or too many for a URL.
func (v *variables) fragment() string {
	if len(v.names) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("#" + hls.VariablesMark)
	for i, name := range v.names {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(name)
		if v.values[name].client {
			b.WriteString(chosenMark)
		}
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(v.values[name].value))
		if b.Len() > maxCarried {
			return ""
		}
	}
	return b.String()
}
