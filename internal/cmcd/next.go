package cmcd

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Next reads what a player says it will ask for next: an object (nor), relative to the URL of r, and a range of it (nrr), in
// the form of a Range after "bytes=". "": the player does not say. The player chooses both, up to MaxLength bytes.
func Next(r *http.Request) (object, part string) {
	if raw := parameter(r.URL.RawQuery); raw != "" {
		next(string(unescape(nil, raw, MaxLength)), &object, &part)
		return object, part
	}
	left := MaxLength
	for _, name := range hls.CMCDHeaders {
		for _, line := range r.Header[name] {
			line = line[:min(len(line), left)]
			left -= len(line)
			next(line, &object, &part)
		}
	}
	return object, part
}

func next(line string, object, part *string) {
	if !strings.Contains(line, "nor") && !strings.Contains(line, "nrr") {
		return
	}
	for len(line) > 0 {
		var name, value string
		name, value, line = anyMember(line)
		switch name {
		case "nor":
			*object = firstString(value)
			if plain, err := url.PathUnescape(*object); err == nil { // CTA-5004 escapes it once more
				*object = plain
			}
		case "nrr":
			*part = firstString(value)
		}
	}
}

// firstString is a string without its quotes. Of a list, as in version 2, it is the first one.
func firstString(value string) string {
	value = strings.TrimPrefix(value, "(")
	rest, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return strings.TrimSuffix(value, ")")
	}
	text, _, _ := strings.Cut(rest, `"`)
	return text
}
