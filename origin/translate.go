package origin

import "net/http"

// outsideField marks a redirect that leads to an origin that was taken out of the pool. The origin means that one and no
// other, as it may be what redirects there in the first place.
const outsideField = "Hlsproxy-Outside"

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
	if m, rest := below(s.members, u); m != nil {
		to := named.at(rest, u)
		to.Fragment, to.RawFragment = u.Fragment, u.RawFragment
		u = to
	} else if m, _ := below(s.former, u); m != nil {
		resp.Header.Set(outsideField, "1")
	}
	resp.Header.Set("Location", u.String())
}
