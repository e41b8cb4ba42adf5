package cache

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// conditional makes the question whether a stored answer still holds (RFC 9111 section 4.3.1). It reports whether there
// is a validator to ask with.
func conditional(question http.Header, e *Entry) bool {
	ok := false
	for validator, condition := range map[string]string{"Etag": "If-None-Match", "Last-Modified": "If-Modified-Since"} {
		if v := e.Header.Get(validator); v != "" {
			question[condition] = []string{v}
			ok = true
		}
	}
	return ok
}

// confirms tells whether a 304 is about the stored answer (section 4.3.4).
func confirms(h http.Header, e *Entry) bool {
	tag := h.Get("Etag")
	return tag == "" || matches([]string{tag}, e.Header.Get("Etag"), false)
}

// renewed is a stored answer with the header fields of the 304 that confirmed it (section 3.2).
func renewed(e *Entry, h http.Header, asked time.Time) *Entry {
	fresh := *e
	fresh.Header = e.Header.Clone()
	for name, values := range storable(h) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest":
			continue // they describe the body that was stored
		case "Content-Type":
			// Some frameworks put text/html on every answer without a body of its own.
			if mediaType(h) != mediaType(e.Header) {
				continue
			}
		}
		fresh.Header[name] = values
	}
	fresh.Time = since(h, asked, time.Now())
	return &fresh
}

// confirmed ends an opening whose stored answer the origin has confirmed.
func (o *opening) confirmed(resp *http.Response) error {
	defer o.cancel(nil)
	resp.Body.Close()
	t, e := o.t, renewed(o.stale, resp.Header, o.asked)
	c := parseControl(e.Header)
	if c.noStore || c.private || resp.Header["Set-Cookie"] != nil {
		t.setAlone(o.key)
		o.publish(func() {})
		return nil
	}
	ttl, err := t.ttl(e)
	stored := false
	if err == nil && ttl >= 0 {
		e.TTL = ttl
		stored = o.keepUnlessPurged(e) == nil
	}
	t.count.revalidations.Add(1)
	o.publish(func() { o.entry, o.how = e, statusConfirmed })
	o.report(Fill{Status: http.StatusNotModified, Stored: stored})
	return nil
}

// rescued ends an opening that failed with the stale answer, if that may still be served. status is that of the origin's
// answer, 0 if there was none.
func (o *opening) rescued(status int) bool {
	if o.stale == nil {
		return false
	}
	if o.stale.Age()-o.stale.TTL > o.t.ifError(o.stale, parseControl(o.stale.Header)) {
		return false
	}
	how := statusStale
	if status != 0 {
		how += "; fwd-status=" + strconv.Itoa(status)
	}
	o.t.setFailing(o.key)
	o.cancel(nil)
	o.publish(func() { o.entry, o.how = o.stale, how })
	return true
}

// renew asks the origin in the background for what was just served stale, unless somebody does already.
func (t *Transport) renew(r *http.Request, have found) {
	t.mu.Lock()
	if t.openings[have.key] != nil || t.fills[have.key] != nil || len(t.openings)+t.filling >= t.maxFills() ||
		t.failing.has(have.key, time.Now(), failingFor) {
		t.mu.Unlock()
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Method, r.Header = http.MethodGet, fillHeader(r.Header)
	o := t.newOpening(r, have)
	o.waiters++
	answer := t.flights.DoChan(have.key, o.open)
	t.mu.Unlock()
	go func() {
		if res := <-answer; res.Err != nil {
			return
		}
		if o.how != statusHit {
			t.count.misses.Add(1)
		}
		if o.fill == nil {
			o.leave() // there is nothing to wait for: it was confirmed, or is for nobody
			return
		}
		o.fill.toStore(r.Context())
	}()
}

// toStore reads a fill to its end on nobody's behalf, with a share of its own, unless it turns out too long to be kept.
func (f *fill) toStore(ctx context.Context) {
	v := &viewer{ctx: ctx, end: math.MaxInt64}
	f.show(v)
	defer v.Close()
	for err := error(nil); err == nil && !f.isClosed(); {
		_, err = io.CopyN(io.Discard, v, largeChunk)
	}
}
