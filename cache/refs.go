package cache

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// watch tells the Store which segments a playlist names, if it is one that can use it.
func (t *Transport) watch(e *Entry) {
	m, ok := t.Store.(*Memory)
	if !ok || t.Refs == nil || e.Status != http.StatusOK {
		return
	}
	u, err := url.Parse(e.URL)
	if err != nil || strings.Contains(u.RawQuery, "_HLS_skip=") {
		return // a delta update names a part of them only (draft-pantos-hls-rfc8216bis-22 section 6.2.5.1)
	}
	list, ok := lookAt(e)
	if !ok || list.Multivariant {
		return
	}
	name := listName(u)
	if list.Ended() {
		m.window(name, nil)
		return
	}
	if keys, err := t.refs(e); err == nil {
		m.window(name, keys)
	}
}

// refs are the keys of the segments that a playlist names.
func (t *Transport) refs(e *Entry) (keys map[string]struct{}, err error) {
	defer t.recovered(&err)
	text, _, ok := open(e)
	if !ok {
		return nil, io.ErrUnexpectedEOF
	}
	all, err := io.ReadAll(io.LimitReader(text, maxPlaylist))
	if err != nil {
		return nil, err
	}
	keys = map[string]struct{}{}
	for ref := range t.Refs(all, e.URL) {
		u, err := url.Parse(ref)
		if err != nil {
			continue
		}
		key, err := t.key(&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}})
		if err != nil {
			return nil, err
		}
		keys[key] = struct{}{}
	}
	return keys, nil
}

// listName is the URL of a playlist without the delivery directives, which ask for other states of the same list.
func listName(u *url.URL) string {
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if !strings.HasPrefix(pair, "_HLS_") && pair != "" {
			kept = append(kept, pair)
		}
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath() + "?" + strings.Join(kept, "&")
}
