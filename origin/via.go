package origin

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// maxHops is how many proxies of this kind may stand in a row.
const maxHops = 10

const markPrefix = "hlsproxy-"

// newMark names one Proxy in Via (RFC 9110 section 7.6.3). It is random, so that it says nothing about the machine.
func newMark() string { return markPrefix + strings.ToLower(rand.Text()[:8]) }

// via is the Via header to send on: the marks of proxies of this kind that the request came through, and our own. A
// request that came through this very proxy, or through too many, goes in circles.
func (p *Proxy) via(h http.Header) (string, error) {
	if len(h["Via"]) == 0 {
		return p.ownVia, nil
	}
	var marks []string
	for _, line := range h["Via"] {
		for hop := range strings.SplitSeq(line, ",") {
			_, by, _ := strings.Cut(strings.TrimSpace(hop), " ")
			by, _, _ = strings.Cut(strings.TrimSpace(by), " ")
			if !isMark(by) {
				continue // others' marks are none of upstream's business
			}
			if by == p.mark || len(marks) == maxHops-1 {
				return "", &statusError{status: http.StatusLoopDetected, text: "request goes in circles"}
			}
			marks = append(marks, "1.1 "+by)
		}
	}
	return strings.Join(append(marks, p.ownVia), ", "), nil
}

func isMark(s string) bool {
	rest, ok := strings.CutPrefix(s, markPrefix)
	return ok && len(rest) == 8 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
