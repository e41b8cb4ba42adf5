package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// post asks the backend over HTTP.
func (a *Ask) post(ctx context.Context, q Question) *answer {
	body, err := json.Marshal(q)
	if err != nil {
		return a.failed(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(body))
	if err != nil {
		return a.failed(err)
	}
	r.Header.Set("Content-Type", "application/json")
	client := a.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(r)
	if err != nil {
		return a.failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	switch resp.StatusCode {
	case http.StatusOK:
		return &answer{status: http.StatusOK, header: pick(resp.Header, a.Header)}
	case http.StatusUnauthorized, http.StatusForbidden:
		return a.refused()
	}
	return a.failed(fmt.Errorf("sign: backend answered %s", resp.Status))
}

func pick(h http.Header, names []string) http.Header {
	out := http.Header{}
	for _, n := range names {
		if v := h.Values(n); len(v) > 0 {
			out[http.CanonicalHeaderKey(n)] = v
		}
	}
	return out
}
