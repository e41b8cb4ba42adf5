package origin

import (
	"net/http"
	"reflect"
	"slices"
)

// A cache right below a Proxy unpacks the header of a hit into the map from which the viewer's header is sent. Without that,
// each hit would make a map of its own, filter it, and copy it. What outer handlers have set in the map before steps aside, so
// that ModifyResponse sees the header of upstream alone.

// lent is the state of the map.
type lent struct {
	header http.Header // the viewer's, while it is lent; nil: it is not
	outer  []field     // what outer handlers have set in it
}

type field struct {
	name   string
	values []string
}

// LendsTo implements sharing.Lender. Others may call it at any time, even after the answer. They have another t or r. For them
// it does not read lends, which may be changing.
func (f *fetch) LendsTo(t http.RoundTripper, r *http.Request) bool {
	return t == f.proxy.shared && r == &f.first && f.lends
}

// Lend implements sharing.Lender.
func (f *fetch) Lend() http.Header {
	l := &f.out.lent
	h := f.out.Header()
	if l.header != nil || h == nil {
		return nil
	}
	for name, values := range h {
		l.outer = append(l.outer, field{name, values})
	}
	clear(h)
	l.header = h
	return h
}

// Passes implements sharing.Lender.
func (f *fetch) Passes(name string) bool {
	return isPassed(name) || slices.Contains(f.proxy.expose, name)
}

// has reports whether the lent map is h.
func (l *lent) has(h http.Header) bool {
	return l.header != nil && reflect.ValueOf(l.header).Pointer() == reflect.ValueOf(h).Pointer()
}

// takeBack makes the map what it was before.
func (l *lent) takeBack() {
	clear(l.header)
	l.join()
}

// join adds what outer handlers have set to what the answer has in the map. Of fields that both have, the answer's stay. Vary
// is kept from both.
func (l *lent) join() {
	for _, o := range l.outer {
		if values, ok := l.header[o.name]; !ok {
			l.header[o.name] = o.values
		} else if o.name == "Vary" {
			l.header[o.name] = slices.Concat(o.values, values)
		}
	}
	clear(l.outer)
	*l = lent{outer: l.outer[:0]}
}
