package origin

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

var errPartial = &statusError{status: http.StatusBadGateway, text: "upstream sent other bytes than it was asked for"}

// checkPartial refuses a 206 that holds other bytes than asked for (RFC 9110 section 15.3.7): a player would take them for
// the right ones. One that holds the whole body is a 200, whatever was asked for. Bytes of a part that does not say how many
// there are get counted.
func (f *fetch) checkPartial(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		delete(resp.Header, "Content-Range") // some servers send it with everything
	}
	if resp.StatusCode != http.StatusPartialContent {
		return nil
	}
	c, ok := httprange.ParseContentRange(resp.Header)
	field, asked := httprange.Asked(f.sent)
	known := resp.ContentLength >= 0
	if ok && asked && isFor(c, field) && (!known || resp.ContentLength == c.Length()) {
		if !known {
			resp.Body = httprange.Exact(resp.Body, c.Length())
		}
		return nil
	}
	if httprange.MakeWhole(resp) {
		return nil
	}
	return errPartial
}

// isFor reports a part that answers a Range.
func isFor(c httprange.ContentRange, field string) bool {
	asked, ok := httprange.ParseOne(field)
	switch {
	case !ok:
		return false
	case asked.First < 0:
		return c.Size < 0 || c.Last == c.Size-1 && c.First == max(0, c.Size-asked.Last)
	}
	return c.First == asked.First && (asked.Last < 0 || c.Last <= asked.Last)
}

// insteadOfHead answers a HEAD that upstream refuses by way of a GET for one byte, as players that ask by HEAD first give
// up otherwise.
func (f *fetch) insteadOfHead(refused *http.Response) (*http.Response, error) {
	if f.viewer.Method != http.MethodHead || f.sent.Method != http.MethodHead || !refusesHead(refused.StatusCode) {
		return refused, nil
	}
	drop(refused)
	f.one = true
	resp, err := f.follow(f.goal)
	if err != nil {
		return nil, err
	}
	if resp = headOf(resp); resp.StatusCode != http.StatusOK {
		f.one = false
		refused.Body = http.NoBody
		return refused, nil
	}
	if s := refused.StatusCode; s != http.StatusNotFound && s != http.StatusForbidden {
		f.proxy.headless.add(f.goal.Host)
	}
	return resp, nil
}

func refusesHead(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// headOf makes what a HEAD would have got of the answer to a GET for the first byte.
func headOf(resp *http.Response) *http.Response {
	c, ok := httprange.ParseContentRange(resp.Header)
	empty := slices.Equal(resp.Header["Content-Range"], []string{httprange.Unsatisfied(0)})
	length := int64(httprange.Unknown)
	switch {
	case resp.StatusCode == http.StatusOK:
		length = resp.ContentLength
	case resp.StatusCode == http.StatusPartialContent && ok:
		length = c.Size
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && empty:
		length = 0
	default:
		drop(resp)
		return resp
	}
	drop(resp)
	resp.StatusCode, resp.Status, resp.ContentLength, resp.Body = http.StatusOK, "200 OK", length, http.NoBody
	delete(resp.Header, "Content-Range")
	delete(resp.Header, "Content-Length")
	if length >= 0 {
		resp.Header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	return resp
}

// recently holds hosts for a while.
type recently struct {
	mu    sync.Mutex
	hosts map[string]time.Time
}

const (
	maxRecent = 1024
	recentFor = 10 * time.Minute
)

func (r *recently) add(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts == nil || len(r.hosts) >= maxRecent {
		r.hosts = map[string]time.Time{}
	}
	r.hosts[host] = time.Now()
}

func (r *recently) has(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.hosts[host]
	return ok && time.Since(at) < recentFor
}
