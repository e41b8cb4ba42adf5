package hls

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// VariablesMark begins the fragment of an upstream URL that carries the variables of a multivariant playlist to its children,
// for EXT-X-DEFINE:IMPORT (draft-pantos-hls-rfc8216bis-22 section 4.4.2.3). A mapper moves the fragment into the query of the
// public URL.
const VariablesMark = "hls-define:"

// CarriesVariables reports whether a query carries variables of a multivariant playlist, in any escaping that something on the
// way may remove. So does a query that may be escaped more than eight times: to look further takes time that grows with the
// square of its length, and it may be a stranger's.
func CarriesVariables(query []byte) bool {
	mark := []byte(VariablesMark[:len(VariablesMark)-1]) // the colon may be escaped
	if bytes.Contains(query, mark) {
		return true
	}
	if !mayHideLetters(query) {
		return false
	}
	var room [512]byte
	layer := append(room[:0], query...)
	for range mostLayers {
		n := len(layer)
		if layer = wire.AppendUnescaped(layer[:0], layer); len(layer) == n {
			return false
		}
		if bytes.Contains(layer, mark) {
			return true
		}
	}
	return mayHideLetters(layer)
}

// mostLayers is how many layers of escapes are taken off. Each proxy in a row may add one.
const mostLayers = 8

// mayHideLetters reports whether a query has escapes of small letters, of - or of %.
func mayHideLetters(query []byte) bool {
	for {
		i := bytes.IndexByte(query, '%')
		if i < 0 || i+2 >= len(query) {
			return false
		}
		switch c := query[i+2] | 0x20; query[i+1] {
		case '6', '7':
			return true
		case '2':
			if c == 'd' || c == '5' {
				return true
			}
		}
		query = query[i+1:]
	}
}
