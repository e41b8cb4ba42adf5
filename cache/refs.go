package cache

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// watch tells the Store which segments are named by a playlist that answered r, if the Store can use that.
func (t *Transport) watch(r *http.Request, e *Entry) {
	m := t.memory()
	if m == nil || t.Refs == nil || e.Status != http.StatusOK {
		return
	}
	u, err := url.Parse(e.URL)
	if err != nil || strings.Contains(u.RawQuery, "_HLS_skip=") {
		return // a delta update names only a part of them (draft-pantos-hls-rfc8216bis-22 section 6.2.5.1)
	}
	list, ok := lookAt(e)
	if !ok || list.Multivariant {
		return
	}
	windows, name := &m.windows, string(appendMaker([]byte(listName(u)), r))
	if list.Ended() {
		windows.set(name, nil)
		return
	}
	select {
	case windows.busy <- struct{}{}:
		defer func() { <-windows.busy }()
	default:
		return // its text takes memory as well; the next version will do
	}
	names, err := t.names(r, e, windows.mostNames())
	if err == nil || errors.Is(err, errManyNames) {
		windows.set(name, names)
	}
}

var errManyNames = errors.New("the playlist names too much")

// names are the hashes of the keys of the segments that a playlist names, at most this many.
func (t *Transport) names(r *http.Request, e *Entry, most int) (names []uint64, err error) {
	defer t.recovered(&err)
	text, _, ok := open(e)
	if !ok {
		return nil, io.ErrUnexpectedEOF
	}
	limit := min(maxPlaylist, int64(most)*nameWeight)
	all, err := io.ReadAll(io.LimitReader(text, limit))
	if err != nil {
		return nil, err
	}
	if int64(len(all)) == limit {
		return nil, errManyNames
	}
	for ref := range t.Refs(all, e.URL) {
		u, err := url.Parse(ref)
		if err != nil {
			continue
		}
		key, err := t.key(listed(r, u))
		if err != nil {
			return nil, err
		}
		if len(names) == most {
			return nil, errManyNames
		}
		names = append(names, evict.Hash(key))
	}
	return names, nil
}

// listName is the URL of a playlist without the delivery directives, which ask for another state of the same list.
func listName(u *url.URL) string {
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if !strings.HasPrefix(pair, "_HLS_") && pair != "" {
			kept = append(kept, pair)
		}
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath() + "?" + strings.Join(kept, "&")
}
