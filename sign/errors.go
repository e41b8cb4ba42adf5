package sign

import (
	"errors"
	"net/http"
)

// A refusal is why a request is not admitted. Its text says no more than its status does.
type refusal struct {
	text   string
	status int
}

func (e *refusal) Error() string { return "sign: " + e.text }

// HTTPStatus is what to answer.
func (e *refusal) HTTPStatus() int { return e.status }

// Why [Signer.Verify] refuses. Each has an HTTPStatus method.
var (
	ErrNoToken  error = &refusal{"no token", http.StatusUnauthorized}
	ErrBadToken error = &refusal{"token is not valid here", http.StatusForbidden}
	ErrExpired  error = &refusal{"token has expired", http.StatusForbidden} // 410 in an answer if Config.Gone is set
	ErrTooEarly error = &refusal{"token is not valid yet", http.StatusForbidden}
	ErrMethod   error = &refusal{"token is for reading", http.StatusMethodNotAllowed}
)

// ErrURL is returned for a URL that cannot be signed: neither path-absolute nor http(s)://, or with a token already.
var ErrURL = errors.New("sign: not a public URL without a token")

// ErrNoViewer is returned when a link would have to be bound to the claims of a viewer and there is no viewer: use URLFor
// for entry links, and mount Handler, or NewContext, above what calls Sign.
var ErrNoViewer = errors.New("sign: Config.Claims is set and there is no request to take them from")
