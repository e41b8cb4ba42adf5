package sign

import (
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
)

// A Kind is what a request is for.
type Kind string

// The kinds that the extension of a path tells apart; what is none of the others is a segment.
const (
	KindPlaylist Kind = "playlist"
	KindSegment  Kind = "segment"
	KindKey      Kind = "key"
)

// A Question is what a backend is told about a request.
type Question struct {
	// NodeID and AppKey are those of the Ask.
	NodeID string `json:"nodeId"`
	AppKey string `json:"appKey"`
	// SessionID is that of the Grant in the context, if there is one.
	SessionID string `json:"sessionId"`
	// MediaSessionID is one for each viewer and stream, made from the other fields if Describe leaves it empty.
	MediaSessionID string `json:"mediaSessionId"`
	// Name of the stream: the directory of the path, without outer slashes.
	Name string `json:"name"`
	// MediaProvider is HLS.
	MediaProvider string `json:"mediaProvider"`
	// Token is the viewer's, without the escapes of a query; empty if there is none.
	Token string `json:"token"`
	// ClientAddress is that of the connection, without its port.
	ClientAddress string `json:"clientAddress"`
	// Kind of what is requested.
	Kind Kind `json:"kind"`
}

// question also returns the token as it stands in the query.
func (a *Ask) question(r *http.Request) (raw string, q Question, err error) {
	raw, count := findParam(r.URL.RawQuery, a.param())
	token := bearer(r)
	switch {
	case count > 1 || !plain([]byte(r.URL.EscapedPath())):
		return "", q, ErrBadToken
	case count == 1:
		if token, err = url.QueryUnescape(raw); err != nil {
			return "", q, ErrBadToken
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	q = Question{
		NodeID: a.NodeID, AppKey: a.AppKey, Name: strings.Trim(path.Dir(r.URL.Path), "/."), MediaProvider: "HLS",
		Token: token, ClientAddress: host, Kind: kindOfRequest(r.URL.Path),
	}
	if g, ok := FromContext(r.Context()); ok {
		q.SessionID = g.Session
	}
	if a.Describe != nil {
		a.Describe(r, &q)
	}
	if q.MediaSessionID == "" {
		q.MediaSessionID = q.session()
	}
	return raw, q, nil
}

// bearer returns the token of an Authorization field of that scheme (RFC 6750, section 2.1), or nothing.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (a *Ask) asks(k Kind) bool {
	return a.Kinds == nil || slices.Contains(a.Kinds, k)
}

// kindOfRequest also knows names by which some servers serve the same file: with path parameters, or a slash at the end.
func kindOfRequest(p string) Kind {
	p = strings.TrimRight(p, "/")
	name, _, _ := strings.Cut(p[strings.LastIndexByte(p, '/')+1:], ";")
	switch strings.ToLower(path.Ext(name)) {
	case ".m3u8", ".m3u", ".json":
		return KindPlaylist
	case ".key":
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
	k := q.key(q.SessionID, q.Name, q.Token, q.ClientAddress)
	return hex.EncodeToString(k[:16])
}

func (q *Question) whole() askKey {
	return q.key(q.NodeID, q.AppKey, q.SessionID, q.MediaSessionID, q.Name, q.MediaProvider, q.Token, q.ClientAddress, string(q.Kind))
}
