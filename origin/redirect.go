package origin

import (
	"net/http"
	"net/url"
)

var (
	errRedirects = &statusError{status: http.StatusBadGateway, text: "too many redirects"}
	errLocation  = &statusError{status: http.StatusBadGateway, text: "redirect leads nowhere"}
	errScheme    = &statusError{status: http.StatusBadGateway, text: "redirect to another scheme"}
)

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// whole makes a whole answer of a redirect to nowhere that has a body: it is what it carries, and players take it.
func whole(resp *http.Response) {
	if isRedirect(resp) && len(resp.Header["Location"]) == 0 && resp.ContentLength != 0 {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	}
}

// location is where a redirect of what was fetched from u leads: to http or https, but from https to http only as a
// downgrade.
func location(resp *http.Response, u *url.URL, downgrade bool) (*url.URL, error) {
	lines := resp.Header["Location"]
	if len(lines) != 1 || lines[0] == "" {
		return nil, errLocation
	}
	next, err := u.Parse(sendable(lines[0]))
	if err != nil {
		return nil, errLocation
	}
	if next.Scheme != "http" && next.Scheme != "https" || u.Scheme == "https" && next.Scheme != "https" && !downgrade {
		return nil, errScheme
	}
	if unfit(next) != "" {
		return nil, errLocation
	}
	next.Fragment, next.RawFragment = u.Fragment, u.RawFragment // RFC 9110 section 10.2.2
	return next, nil
}
