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

// LogFailure logs why a request failed. It fits OnFailure of origin.Proxy and rewrite.Rewriter. A log is read by more
// people than a link is meant for, so it holds neither tokens nor sealed paths.
func LogFailure(r *http.Request, err error) { Log(fmt.Sprintf("%q", Shown(r.URL.Path)), err) }

// Log logs an error without the queries of the URLs in it.
func Log(what string, err error) { log.Printf("%s: %s", what, hushed(err)) }

// Shown is a path with the beginning only of what is long enough to be a token.
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

// hushed leaves out what URLs in an error say after the question mark. Of a refusal it gives what the operator can change.
func hushed(err error) string {
	var no *origin.ForbiddenError
	if errors.As(err, &no) && no.Detail != "" {
		return no.Detail
	}
	return query.ReplaceAllString(err.Error(), "?...")
}
