package main

import (
	"net/http"
	"net/url"
	"strings"
)

// signed fetches playlists, with a signature if CloudFront has them.
type signed struct {
	urls *links
	base http.RoundTripper
}

func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	link, err := s.urls.sign(r.Context(), []byte(r.URL.String()))
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(string(link))
	if err != nil {
		return nil, err
	}
	return roundTrip(s.base, r, u)
}

// folder reads playlists from files as if they were at CloudFront, so that their references mean the same.
type folder struct {
	files http.RoundTripper
	at    string // the URL of the folder
}

func (f *folder) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(f.at)
	if err != nil {
		return nil, err
	}
	return roundTrip(f.files, r, &url.URL{Path: "/" + strings.TrimPrefix(r.URL.Path, at.Path)})
}

// roundTrip requests u instead of the URL of r. References are still resolved against the URL of r.
func roundTrip(base http.RoundTripper, r *http.Request, u *url.URL) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL = u
	resp, err := base.RoundTrip(out)
	if err == nil {
		resp.Request = r
	}
	return resp, err
}
