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

// confirmed lands with the stored answer that the origin has confirmed.
func (o *flight) confirmed(resp *http.Response) outcome {
	defer o.cancel(nil)
	resp.Body.Close()
	t, e := o.t, renewed(o.kept, resp.Header, o.asked)
	c := parseControl(e.Header)
	// The origin has chosen this answer for this request, whatever fields it varies by from now on.
	vary, ok := varyOf(e.Header, o.req.Header)
	if !ok || c.noStore || c.private || resp.Header["Set-Cookie"] != nil {
		t.setAlone(o.key)
		o.unstore()
		return o.land(outcome{})
	}
	if o.part == nil {
		e.Vary = vary
	}
	ttl, err := t.ttl(e)
	stored := false
	if err == nil && ttl >= 0 {
		e.TTL = ttl
		stored = o.store(e) == nil
	}
	t.count.revalidations.Add(1)
	out := o.land(outcome{entry: e, how: statusConfirmed})
	o.report(Fill{Status: http.StatusNotModified, Stored: stored})
	return out
}

// rescued lands with the stale answer where the origin has failed, if that may still be served. status is that of the origin's
// answer, 0 if there was none.
func (o *flight) rescued(status int) (out outcome, ok bool) {
	e := o.kept
	if e == nil || e.Age()-e.TTL > o.t.ifError(e, parseControl(e.Header)) {
		return outcome{}, false
	}
	how := statusStale
	if status != 0 {
		how += "; fwd-status=" + strconv.Itoa(status)
	}
	o.t.setFailing(o.key)
	o.cancel(nil)
	return o.land(outcome{entry: e, how: how}), true
}

// renew asks the origin in the background for what was just served stale, unless somebody does already.
func (t *Transport) renew(r *http.Request, have found) {
	t.mu.Lock()
	if t.flights[have.key] != nil || t.fills[have.key] != nil || len(t.flights)+t.filling >= t.maxFills() ||
		t.failing.has(have.key, time.Now(), failingFor) {
		t.mu.Unlock()
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Method, r.Header = http.MethodGet, fillHeader(r.Header)
	o := t.newFlight(r, have)
	o.waiters++
	landed := t.group.DoChan(have.key, o.run)
	t.mu.Unlock()
	go func() {
		defer o.served()
		res := <-landed
		out, _ := res.Val.(outcome)
		if res.Err == nil && out.how != statusHit {
			t.count.misses.Add(1)
		}
		if out.fill != nil {
			out.fill.toStore(r.Context())
		}
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
