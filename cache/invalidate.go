package cache

import "net/http"

// safe tells which methods leave what they are asked of as it is (RFC 9110 section 9.2.1).
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// invalidate forgets what is stored of the target of a request that may have changed it, and of what the answer says it
// has made or changed on the same origin, unless the request failed (RFC 9111 section 4.4).
func (t *Transport) invalidate(r *http.Request, resp *http.Response) {
	if safe(r.Method) || r.URL == nil || resp.StatusCode < 200 || resp.StatusCode >= http.StatusBadRequest {
		return
	}
	t.forget(r)
	for _, name := range [...]string{"Location", "Content-Location"} {
		u, err := r.URL.Parse(resp.Header.Get(name))
		if err != nil || u.Scheme != r.URL.Scheme || u.Host != r.URL.Host || *u == *r.URL {
			continue
		}
		other := r.WithContext(r.Context())
		other.URL = u
		t.forget(other)
	}
}

func (t *Transport) forget(r *http.Request) {
	key, err := t.key(r)
	if err == nil {
		_, err = t.Purge(r.Context(), key)
	}
	if err != nil {
		t.count.errors.Add(1)
	}
}
