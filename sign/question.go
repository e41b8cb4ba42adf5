package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Kind is what a request is for.
type Kind string

// The kinds that the extension of a path tells apart. Everything else is a segment.
const (
	KindPlaylist Kind = "playlist"
	KindSegment  Kind = "segment"
	KindKey      Kind = "key"
)

// A Question tells a backend about a request.
type Question struct {
	// NodeID and AppKey are those of the Ask.
	NodeID string `json:"nodeId"`
	AppKey string `json:"appKey"`
	// SessionID is that of the Grant in the context, if there is one.
	SessionID string `json:"sessionId"`
	// MediaSessionID differs for each viewer and stream. It is made from the other fields if Describe leaves it empty.
	MediaSessionID string `json:"mediaSessionId"`
	// Host that the viewer asked, in lower case, with a port if the viewer named one.
	Host string `json:"host"`
	// Name of the stream: the directory of the path without its escapes and outer slashes.
	Name string `json:"name"`
	// MediaProvider is HLS.
	MediaProvider string `json:"mediaProvider"`
	// Token is the token of the request, without the escapes of a query; empty if there is none.
	Token string `json:"token"`
	// ClientAddress is that of the connection, without its port.
	ClientAddress string `json:"clientAddress"`
	// Kind of what is requested.
	Kind Kind `json:"kind"`
}

// question also returns the token as it stands in the query, and whether the backend must be asked.
func (a *Ask) question(r *http.Request) (raw string, q Question, asks bool, err error) {
	defer caught(&err)
	path := []byte(r.URL.EscapedPath())
	raw, count := link.FindParam(r.URL.RawQuery, a.param())
	token := bearer(r)
	switch {
	case count > 1 || !link.Plain(path) || r.URL.User != nil:
		return "", q, false, ErrBadToken
	case count == 1:
		if token, err = url.QueryUnescape(raw); err != nil {
			return "", q, false, ErrBadToken
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	q = Question{
		NodeID: a.NodeID, AppKey: a.AppKey, Host: strings.ToLower(r.Host), Name: streamOf(path), MediaProvider: "HLS",
		Token: token, ClientAddress: host,
	}
	q.Kind, asks = a.kindOf(path)
	if g, ok := FromContext(r.Context()); ok {
		q.SessionID = g.Session
	}
	if a.Describe != nil {
		a.Describe(r, &q)
	}
	if q.MediaSessionID == "" {
		q.MediaSessionID = q.session()
	}
	return raw, q, asks, nil
}

// bearer returns the token of an Authorization field of that scheme (RFC 6750, section 2.1), or nothing.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// streamOf is the directory of a path with all layers of escapes taken off, as each server on the way may take one.
func streamOf(p []byte) string { return strings.Trim(path.Dir(string(link.Bare(p))), "/") }

func (a *Ask) asks(k Kind) bool {
	return a.Kinds == nil || slices.Contains(a.Kinds, k)
}

// kindOf returns the kind of what p names, and whether that is asked about. Where servers could take p for something else,
// it is the kind that is asked about.
func (a *Ask) kindOf(p []byte) (Kind, bool) {
	p = bytes.TrimRight(p, "/")
	above, last := link.DirectoryOf(p)
	name, _, _ := bytes.Cut(link.Bare(last), []byte{';'})
	kind := kindOfName(name)
	if a.asks(kind) {
		return kind, true
	}
	for name := range link.Readings(last) {
		if k := kindOfName(name); a.asks(k) {
			return k, true
		}
	}
	for segment := range bytes.SplitSeq(above, []byte{'/'}) { // a server may take what is behind a file for its parameters
		for name := range link.Readings(segment) {
			if k := kindOfName(name); a.asks(k) && (k != KindSegment || isMedia(name)) {
				return k, true
			}
		}
	}
	return kind, false
}

func kindOfName(name []byte) Kind {
	ext := name[max(0, bytes.LastIndexByte(name, '.')):]
	for _, playlist := range [...]string{".m3u8", ".m3u", ".json"} {
		if bytes.EqualFold(ext, []byte(playlist)) {
			return KindPlaylist
		}
	}
	if bytes.EqualFold(ext, []byte(".key")) {
		return KindKey
	}
	return KindSegment
}

// askKey stands for a question, so that no tokens are kept.
type askKey [sha256.Size]byte

func (q *Question) key(fields ...string) (k askKey) {
	h := sha256.New()
	for _, f := range fields {
		h.Write(binary.AppendUvarint(nil, uint64(len(f))))
		io.WriteString(h, f)
	}
	h.Sum(k[:0])
	return k
}

func (q *Question) session() string {
	k := q.key(q.SessionID, q.Host, q.Name, q.Token, q.ClientAddress)
	return hex.EncodeToString(k[:16])
}

// whole is the key of the question and of the grant under which it is asked.
func (q *Question) whole(g Grant) askKey {
	return q.key(q.NodeID, q.AppKey, q.SessionID, q.MediaSessionID, q.Host, q.Name, q.MediaProvider, q.Token, q.ClientAddress, string(q.Kind),
		g.Claims, g.Session, g.Expires.String(), g.NotBefore.String(), g.Until.String())
}
