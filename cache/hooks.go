package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// The calls of hooks. A panic of a hook, in a goroutine that is not the viewer's own, would end the process. A hook may also
// end its goroutine (runtime.Goexit, as t.FailNow does); that must leave nobody waiting.

func (t *Transport) key(r *http.Request) (key string, err error) {
	if t.Key == nil {
		return string(appendKeyBut(nil, r, t.Ignore)), nil
	}
	defer t.recovered(&err)
	return string(appendMaker([]byte(t.Key(r)), r)), nil
}

func (t *Transport) get(r *http.Request, key string) (f lookupResult, err error) {
	if m := t.memory(); m != nil {
		return m.get(key, room(r)).result(), nil
	}
	defer t.recovered(&err)
	f.entry, err = t.Store.Get(r.Context(), key)
	return f, err
}

func (t *Transport) put(ctx context.Context, key string, e *Entry) (err error) {
	defer t.recovered(&err)
	return t.Store.Put(ctx, key, e)
}

func (t *Transport) ttl(e *Entry) (d time.Duration, err error) {
	defer t.recovered(&err)
	if t.TTL == nil {
		return HLS(e), nil
	}
	return t.TTL(e), nil
}

func (t *Transport) ask(r *http.Request) (resp *http.Response, err error) {
	defer t.recovered(&err)
	return t.base().RoundTrip(r)
}

// close ends an origin's answer. Its Close is a hook like any other.
func (t *Transport) close(body io.Closer) (err error) {
	defer t.recovered(&err)
	return body.Close()
}

func (t *Transport) recovered(err *error) {
	if p := recover(); p != nil {
		t.count.errors.Add(1)
		*err = hookFault(p)
	}
}

var errExited = hookFault(errors.New("runtime.Goexit"))
