package origin

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// holds are where playlists were found by redirect, for each viewer.
type holds struct {
	mu sync.Mutex
	at map[string]hold
}

type hold struct {
	url   *url.URL
	until time.Time
}

// maxHolds is how many are kept at a time.
const maxHolds = 16 << 10

// get returns where a redirect led lately, or nil.
func (h *holds) get(key string) *url.URL {
	h.mu.Lock()
	defer h.mu.Unlock()
	if it, ok := h.at[key]; ok && time.Now().Before(it.until) {
		u := *it.url
		return &u
	}
	return nil
}

// put keeps where a redirect led. Nil: nothing is kept any longer.
func (h *holds) put(key string, u *url.URL, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u == nil {
		delete(h.at, key)
		return
	}
	now := time.Now()
	if len(h.at) >= maxHolds {
		for k, it := range h.at {
			if now.After(it.until) {
				delete(h.at, k)
			}
		}
		if len(h.at) >= maxHolds {
			return // those that have a session keep it
		}
	}
	if h.at == nil {
		h.at = map[string]hold{}
	}
	h.at[key] = hold{u, now.Add(d)}
}

// find follows redirects to u, or goes where they led this viewer lately.
func (f *fetch) find(u *url.URL) (*http.Response, error) {
	p := f.proxy
	if p.HoldRedirects <= 0 || !isPlaylistPath(u) {
		return f.follow(u)
	}
	key, err := f.holdKey(u)
	if err != nil {
		return nil, err
	}
	if to := p.holds.get(key); to != nil {
		to.RawQuery = withDirectives(to.RawQuery, u.RawQuery)
		resp, err := f.followFrom(to, to.Scheme == u.Scheme && to.Host == u.Host)
		if err != nil || !endsHold(resp.StatusCode) {
			return resp, err
		}
		p.holds.put(key, nil, 0)
		drop(resp)
	}
	resp, err := f.follow(u)
	if err == nil && resp.StatusCode == http.StatusOK && f.sent.Response != nil {
		to := *f.sent.URL
		to.RawQuery = withDirectives(to.RawQuery, "")
		p.holds.put(key, &to, p.HoldRedirects)
	}
	return resp, err
}

// holdKey names a playlist and all that upstream may tell viewers apart by. A player adds directives from reload to reload.
func (f *fetch) holdKey(u *url.URL) (string, error) {
	name, err := nameOf(f.viewer, f.proxy.Client)
	plain := *u
	plain.RawQuery = withDirectives(u.RawQuery, "")
	names := []string{"Authorization", "Cookie"}
	if m := maker.FromContext(f.viewer.Context()); m != nil {
		names = append(names, m.Credentials(u)...)
	}
	return name + "\x00" + plain.String() + "\x00" + maker.Digest(f.header(u, f.proxy.allow, true), names), err
}

func endsHold(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}
