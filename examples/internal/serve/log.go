package serve

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"regexp"
	"strings"

	"github.com/hlsproxy/hlsproxy/origin"
)

// LogFailure logs why a request failed. It fits OnFailure of origin.Proxy and rewrite.Rewriter. More people read a log than
// should have a link, so the line contains neither tokens nor sealed paths.
func LogFailure(r *http.Request, err error) { Log(fmt.Sprintf("%q", Shown(r.URL.Path)), err) }

// Log logs an error without the queries of its URLs.
func Log(what string, err error) { log.Printf("%s: %s", what, hushed(err)) }

// Shown is a path in which long elements, which may be tokens, are cut.
func Shown(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > 40 {
			parts[i] = part[:8] + "..."
		}
	}
	return strings.Join(parts, "/")
}

var query = regexp.MustCompile(`\?[^\s"]+`)

// hushed removes the queries from URLs in an error. For a refusal it returns what the operator can change.
func hushed(err error) string {
	var no *origin.ForbiddenError
	if errors.As(err, &no) && no.Detail != "" {
		return no.Detail
	}
	return query.ReplaceAllString(err.Error(), "?...")
}
