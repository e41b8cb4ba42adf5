package origin

import "net/http"

// translate makes a redirect of the origin that answered one of the origin that was named, so that it means the same to
// whoever resolves it against the URL that was asked for.
func translate(resp *http.Response, s *set, named *member, tail string) {
	location := resp.Header["Location"]
	body, ok := resp.Body.(*callBody)
	if len(location) != 1 || location[0] == "" || !ok || !isRedirect(resp) {
		return
	}
	u, err := body.call.member.at(tail, resp.Request.URL).Parse(location[0])
	if err != nil {
		return // whoever follows it will say so
	}
	if m, rest := s.find(u); m != nil {
		to := named.at(rest, u)
		to.Fragment, to.RawFragment = u.Fragment, u.RawFragment
		u = to
	}
	resp.Header.Set("Location", u.String())
}
