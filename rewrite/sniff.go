package rewrite

import (
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"strings"
)

const playlistType = "application/vnd.apple.mpegurl"

// expectation is what a response should be, by its header and its URL.
type expectation uint8

const (
	isUnknown  expectation = iota // only its first bytes can tell
	isPlaylist                    // or else it is wrong
	isJSON                        // which may be of interest
	isMedia                       // surely nothing of interest
)

func (d *document) expected() expectation {
	mediaType, _, _ := strings.Cut(d.resp.Header.Get("Content-Type"), ";")
	mediaType = strings.TrimSpace(strings.ToLower(mediaType))
	ext := strings.ToLower(path.Ext(d.path))
	switch mediaType {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/mpegurl", "vnd.apple.mpegurl",
		"audio/mpegurl", "audio/x-mpegurl", "audio/vnd.apple.mpegurl", "video/mpegurl", "video/x-mpegurl":
		return isPlaylist
	}
	switch {
	case ext == ".m3u8" || ext == ".m3u":
		return isPlaylist
	case mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json") ||
		mediaType == "application/vnd.apple.steering-list" || ext == ".json":
		return isJSON
	case strings.HasPrefix(mediaType, "video/") || strings.HasPrefix(mediaType, "audio/"):
		return isMedia
	}
	return isUnknown
}

// sniff reads as much of the body as it takes to tell a playlist, and puts it back.
func (d *document) sniff() (bool, error) {
	if d.resp.ContentLength >= 0 && d.resp.ContentLength < int64(len(magic)) {
		return false, nil
	}
	body := d.resp.Body
	var seen bytes.Buffer
	playlist, err := false, error(nil)
	switch encoding(d.resp) {
	case "":
		playlist, err = startsPlaylist(io.TeeReader(body, &seen))
	case "gzip":
		playlist, err = startsGzip(io.TeeReader(body, &seen))
	}
	d.resp.Body = &rewound{body: body, seen: &seen, err: err}
	return playlist && err == nil, nil
}

// startsGzip is startsPlaylist for a body in gzip. What does not decode is no playlist.
func startsGzip(body io.Reader) (bool, error) {
	z, err := gzip.NewReader(body)
	if err != nil {
		return false, nil
	}
	playlist, err := startsPlaylist(z)
	return playlist && err == nil, nil
}

// startsPlaylist reads up to the first byte that no playlist has there. A body may be slow or endless: it never waits for
// more than it needs.
func startsPlaylist(body io.Reader) (bool, error) {
	want := bom + magic
	var b [1]byte
	for at := 0; at < len(want); {
		n, err := body.Read(b[:])
		if n == 1 {
			if at == 0 && b[0] == magic[0] {
				at = len(bom)
			}
			if b[0] != want[at] {
				return false, nil
			}
			at++
			continue
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// rewound is a body whose beginning has been read. It keeps the WriterTo of the rest, if there is one, as a body that
// streams in large writes has it.
type rewound struct {
	body io.ReadCloser
	seen *bytes.Buffer
	err  error // that reading the beginning ended in
}

func (r *rewound) WriteTo(w io.Writer) (int64, error) {
	n, err := r.seen.WriteTo(w)
	if err != nil {
		return n, err
	}
	if r.err != nil {
		return n, r.err
	}
	m, err := io.Copy(w, r.body)
	return n + m, err
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
