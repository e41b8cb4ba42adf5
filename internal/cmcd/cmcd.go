// Package cmcd reads Common Media Client Data (CTA-5004), which a player sends about itself with each request, as a query
// parameter or as header fields. The input is bounded and not trusted: a malformed member is ignored.
package cmcd

import (
	"net/http"
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

// Read reads the CMCD of a request: that of its query, or, if there is none, that of its header. It costs next to nothing if
// there is none, and never allocates.
func (d *Data) Read(r *http.Request) {
	if r.URL.RawQuery != "" {
		if d.query(parameter(r.URL.RawQuery)); d.Said {
			return
		}
	}
	left := MaxLength
	for i := range hls.CMCDHeaders {
		for _, line := range r.Header[hls.CMCDHeaders[i]] {
			line = line[:min(len(line), left)]
			left -= len(line)
			parse(d, line)
		}
	}
}
