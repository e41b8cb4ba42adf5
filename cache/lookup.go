package cache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
)

// lookupResult is what the Store has for a request.
type lookupResult struct {
	primary string // the key of the URL
	key     string // the key of the variant; the same unless answers vary
	entry   *Entry // fresh or not; nil: nothing
	owned   *reply // holds entry, if nobody else does; nil: the entry may be shared
	part    *slice // the slice that is requested; nil: the whole
	purges  uint64 // how many there had been before
}

// find is lookup with the key of r. A Memory returns the key it has stored, so that a hit need not build one.
func (t *Transport) find(r *http.Request) (lookupResult, error) {
	in := room(r)
	in.lender = sharing.LenderTo(t, r)
	if m := t.memory(); m != nil && t.Key == nil {
		var buf [256]byte
		purges := t.purges.Load()
		owned, key := m.find(appendKeyBut(buf[:0], r, t.Ignore), in)
		have := t.choose(r, key, owned.result(), in)
		have.purges = purges
		return have, nil
	}
	key, err := t.key(r)
	if err != nil {
		return lookupResult{}, err
	}
	return t.lookupIn(r, key, in), nil
}

// room is how much room the header of the answer to r may need.
func room(r *http.Request) headerRoom {
	if len(r.Header["Range"]) > 0 {
		return headerRoom{more: ofARange}
	}
	return headerRoom{}
}

// lookup finds the stored answer that r selects, fresh or not.
func (t *Transport) lookup(r *http.Request, key string) lookupResult {
	return t.lookupIn(r, key, room(r))
}

func (t *Transport) lookupIn(r *http.Request, key string, in headerRoom) lookupResult {
	if t.Store == nil {
		return lookupResult{primary: key, key: key}
	}
	purges := t.purges.Load()
	have := t.choose(r, key, t.fetch(r, key, in), in)
	have.purges = purges
	return have
}

// choose finds the variant that r selects, if the entry under the key is only a mark that answers vary.
func (t *Transport) choose(r *http.Request, key string, f lookupResult, in headerRoom) lookupResult {
	f.primary, f.key = key, key
	if f.entry != nil && f.entry.Status == 0 {
		v := variant(key, f.entry.Vary, r.Header)
		f = t.fetch(r, v, in)
		f.primary, f.key = key, v
	}
	if f.entry != nil && (f.entry.Status == 0 || !rules.Selects(r.Header, f.entry.Vary)) {
		f.entry, f.owned = nil, nil
	}
	return f
}

func (t *Transport) fetch(r *http.Request, key string, in headerRoom) lookupResult {
	f, err := t.get(r, key, in)
	if err != nil {
		t.count.errors.Add(1)
		return lookupResult{}
	}
	return f
}

// isFresh reports whether a stored answer may be served to r without asking the origin. The redirect of a segment, for example
// to a freshly signed URL of an object store, is good while its target is stored.
func (t *Transport) isFresh(r *http.Request, e *Entry) bool {
	if !e.fresh() || !isPassing(e.Status) {
		return e.fresh()
	}
	if _, said := rules.ParseControl(e.Header).Lifetime(e.Header); said || t.TTL != nil {
		return true
	}
	to, err := r.URL.Parse(e.Header.Get("Location"))
	if err != nil {
		return false
	}
	next := named(r, to, r.Header.Clone())
	key, err := t.key(next)
	if err != nil {
		return false
	}
	have := t.lookup(next, key)
	return have.entry != nil && have.entry.fresh() && have.entry.Status == http.StatusOK || t.isAsked(have.key)
}

// keep stores an answer under its key. If answers vary, it stores the answer under the key of its variant and puts a mark under
// its key.
func (t *Transport) keep(r *http.Request, primary string, e *Entry) error {
	if e.Vary == nil {
		return t.put(r.Context(), primary, e)
	}
	mark := &Entry{URL: e.URL, Vary: http.Header{}, Time: e.Time, TTL: rules.Longest}
	for name := range e.Vary {
		mark.Vary[name] = nil
	}
	if err := t.put(r.Context(), primary, mark); err != nil {
		return err
	}
	return t.put(r.Context(), keyOf(primary, e), e)
}

// keyOf is the key that keep stores e under.
func keyOf(primary string, e *Entry) string {
	if e.Vary == nil {
		return primary
	}
	return variant(primary, e.Vary, e.Vary)
}

// variant is the key of the answer to a request with this header, if answers vary by the fields of vary.
func variant(primary string, vary, header http.Header) string {
	names := make([]string, 0, len(vary))
	for name := range vary {
		names = append(names, name)
	}
	slices.Sort(names)
	var key strings.Builder
	key.WriteString(primary)
	for _, name := range names {
		key.WriteString(ofPart + name + "\x00" + rules.Combined(header[name]))
	}
	return key.String()
}
