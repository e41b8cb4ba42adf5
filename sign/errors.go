package sign

import (
	"errors"
	"io"
	"log"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A refusal is why a request is not admitted. Its text reveals no more than its status.
type refusal struct {
	text   string
	status int
}

func (e *refusal) Error() string { return "sign: " + e.text }

// HTTPStatus is the status to answer with.
func (e *refusal) HTTPStatus() int { return e.status }

// The reasons for which [Signer.Verify] refuses. Each has an HTTPStatus method.
var (
	ErrNoToken  error = &refusal{"no token", http.StatusUnauthorized}
	ErrBadToken error = &refusal{"token is not valid here", http.StatusForbidden}
	ErrExpired  error = &refusal{"token has expired", http.StatusForbidden} // 410 in an answer if Config.Gone is set
	ErrTooEarly error = &refusal{"token is not valid yet", http.StatusForbidden}
	ErrMethod   error = &refusal{"token is for reading", http.StatusMethodNotAllowed}
)

// ErrURL is returned for a URL that cannot be signed: neither path-absolute nor http(s)://.
var ErrURL = link.ErrURL

// unsealed is ErrURL for a URL that can stay as it is.
type unsealed struct{ error }

func (e unsealed) Unwrap() error { return e.error }

// Unmapped reports that.
func (unsealed) Unmapped() bool { return true }

var errUnsealed error = unsealed{ErrURL}

// ErrNoViewer is returned if a link would be bound to a viewer's claims and there is no viewer: use URLFor for entry links, and
// mount Handler, or NewContext, above the code that calls Sign.
var ErrNoViewer = errors.New("sign: Config.Claims is set and there is no request to take them from")

// statusOf returns the status that an error gives for a refusal, else 403.
func statusOf(err error) int {
	if status, ok := httpstatus.Of(err); ok {
		return status
	}
	return http.StatusForbidden
}

var errPanic error = &refusal{"a hook panicked", http.StatusInternalServerError}

// caught turns a panic of a hook into an error with status 500, so that no inner handler is called. A panic that must break the
// connection goes on.
func caught(err *error) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		log.Printf("sign: a hook panicked: %v\n%s", p, debug.Stack())
		*err = errPanic
	}
}

// writeRefusal reveals only the status. RFC 9110 sections 15.5.2 and 15.5.6 demand the two fields.
func writeRefusal(w http.ResponseWriter, status int, scheme string) {
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", scheme)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, OPTIONS")
	}
	text := http.StatusText(status) + "\n"
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
