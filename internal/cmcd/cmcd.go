// Package cmcd reads Common Media Client Data (CTA-5004), which a player sends about itself with each request, as a query
// parameter or as header fields. The input is bounded and not trusted: a malformed member is ignored.
package cmcd

import (
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// MaxLength is how many bytes of CMCD are read per request.
const MaxLength = 2048

// maxString is how long a string is kept. CTA-5004 allows ids of 64 characters.
const maxString = 64

// ID is a string from the player, cut at maxString.
type ID struct {
	bytes [maxString]byte
	n     uint8
}

// Bytes is the string. It is valid as long as the ID.
func (id *ID) Bytes() []byte { return id.bytes[:id.n] }

func (id *ID) String() string { return string(id.bytes[:id.n]) }

// Data is what a player said, as far as this module uses it. Zero or false: it said nothing.
type Data struct {
	Session    ID            // sid
	Bitrate    int64         // br, bits per second of the requested media
	StartDelay time.Duration // msd, from the wish to play to the first picture
	Starved    bool          // bs: the buffer ran dry since the last request
	Startup    bool          // su: needed at once
	Said       bool          // there is any CMCD at all
}

// Read reads the CMCD of a request. It costs next to nothing if there is none, and never allocates.
func (d *Data) Read(r *http.Request) {
	left := MaxLength
	for i := range hls.CMCDHeaders {
		for _, line := range r.Header[hls.CMCDHeaders[i]] {
			line = line[:min(len(line), left)]
			left -= len(line)
			parse(d, line)
		}
	}
	if strings.Contains(r.URL.RawQuery, hls.CMCD) {
		d.query(r.URL.RawQuery, left)
	}
}

func (d *Data) query(raw string, left int) {
	var buf [MaxLength]byte
	parse(d, unescape(buf[:0], parameter(raw), left))
}

// parameter is the value of CMCD in a query, still escaped. The first one counts.
func parameter(raw string) string {
	for raw != "" {
		var param string
		param, raw, _ = strings.Cut(raw, "&")
		if hls.IsCMCD(param) && len(param) > len(hls.CMCD) {
			return param[len(hls.CMCD)+1:]
		}
	}
	return ""
}

// unescape removes the escapes of a query, up to most bytes. An invalid escape stays.
func unescape(dst []byte, s string, most int) []byte {
	for i := 0; i < len(s) && len(dst) < most; i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) < 16 && unhex(s[i+2]) < 16:
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

func unhex(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c|0x20-'a' < 6:
		return c | 0x20 - 'a' + 10
	}
	return 16
}
