package rewrite

import (
	"bytes"
	"context"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/memo"
)

// A Signer extends the public URLs in playlists, for example by a token. Its methods are called concurrently.
type Signer interface {
	// Sign gets a URL as the player will see it, without a fragment. It may append to public in place, and returns the result.
	// ctx is the context of the response's request. An error fails the playlist.
	Sign(ctx context.Context, public []byte) ([]byte, error)
}

// An AlikeSigner saves the Rewriter most calls of Sign, and most of the cost of signing a playlist. A Rewriter looks for it by
// a type assertion, as io.Copy looks for an io.WriterTo.
type AlikeSigner interface {
	Signer

	// SignAlike reports that Sign appends the same bytes to all URLs that differ from public only in digits: those of the file
	// name before the extension (the last dot and what follows), or those of the query. Sign is then called for only one of
	// them. SignAlike may write after the URL, but must neither change nor keep it.
	SignAlike(ctx context.Context, public []byte) bool
}

// A VariableSigner tells whether a client can change the query of a signed URL. A Rewriter looks for it by a type assertion.
type VariableSigner interface {
	Signer

	// SignsVariables reports whether the verifier of the URLs refuses changed variables. Variables of a multivariant playlist
	// travel to its children in the query of their URLs. If it is false, or if the Signer has no such method,
	// EXT-X-DEFINE:IMPORT is treated like EXT-X-DEFINE:QUERYPARAM; see [Rewriter.Sign].
	SignsVariables() bool
}

// SignFunc turns a function into a Signer.
type SignFunc func(ctx context.Context, public []byte) ([]byte, error)

// Sign calls f.
func (f SignFunc) Sign(ctx context.Context, public []byte) ([]byte, error) { return f(ctx, public) }

// SignChain returns a Signer that passes each URL from one Signer to the next. It signs alike if all of them do, and signs
// variables if one of them does.
func SignChain(signers ...Signer) Signer { return signChain(signers) }

type signChain []Signer

func (c signChain) Sign(ctx context.Context, public []byte) ([]byte, error) {
	for _, s := range c {
		var err error
		if public, err = s.Sign(ctx, public); err != nil {
			return public, err
		}
	}
	return public, nil
}

// SignAlike asks each Signer about the URL that it would get.
func (c signChain) SignAlike(ctx context.Context, public []byte) bool {
	u := bytes.Clone(public)
	for _, s := range c {
		alike, ok := s.(AlikeSigner)
		if !ok || !alike.SignAlike(ctx, u) {
			return false
		}
		var err error
		if u, err = s.Sign(ctx, u); err != nil {
			return false
		}
	}
	return true
}

func (c signChain) SignsVariables() bool {
	for _, s := range c {
		if signsVariables(s) {
			return true
		}
	}
	return false
}

func signsVariables(s Signer) bool {
	v, ok := s.(VariableSigner)
	return ok && v.SignsVariables()
}

// sign lets the hook extend the public URL at the end of dst, which begins at start.
func (st *state) sign(dst []byte, start int) ([]byte, error) {
	if st.Sign == nil {
		return dst, nil
	}
	signed, err := st.Sign.Sign(st.ctx, dst[start:])
	if err != nil {
		return dst, err
	}
	return harmless(append(dst[:start], signed...), start, quoted), nil
}

// signReport is sign without the bytes that the hook appends. Nobody requests the URL of a report: players compare it with the
// beginnings of the variants' URLs. The hook may have changed the path of those as well.
func (st *state) signReport(dst []byte, start int) ([]byte, error) {
	plain := bytes.Clone(dst[start:])
	dst, err := st.sign(dst, start)
	if err != nil {
		return dst, err
	}
	return dst[:start+reportLen(dst[start:], plain)], nil
}

// reportLen is how much of a signed URL a report has.
func reportLen(signed, plain []byte) int {
	if bytes.HasPrefix(signed, plain) {
		return len(plain)
	}
	if bytes.IndexByte(plain, '?') < 0 {
		return until(signed, 0, len(signed), '?')
	}
	return len(signed)
}

// signHarmless is sign, or signReport, for a URL that harmless would not change: if the hook has only appended to it, only the
// appended bytes need a check.
func (st *state) signHarmless(dst []byte, start int, form form, report bool) ([]byte, error) {
	if st.Sign == nil || report && st.alike != nil && st.alike.SignAlike(st.ctx, dst[start:]) {
		return dst, nil // a Signer that signs alike only appends
	}
	st.abs = append(st.abs[:0], dst[start:]...) // the hook may change its input
	signed, err := st.Sign.Sign(st.ctx, dst[start:])
	if err != nil {
		return dst, err
	}
	end := start + len(st.abs)
	if len(signed) > 0 && &signed[0] == &dst[start] {
		dst = dst[:start+len(signed)]
	} else {
		dst = append(dst[:start], signed...)
	}
	if report {
		dst = dst[:start+reportLen(dst[start:], st.abs)]
	}
	if form != bare && len(dst) >= end && bytes.Equal(dst[start:end], st.abs) && ordinary(dst[end:]) {
		return dst, nil
	}
	return harmless(harmless(dst, start, quoted), start, form), nil
}

// repeatSigned appends the signed result of a unit for matching lines. called: it had to call Sign for them.
func (st *state) repeatSigned(dst []byte, u *memo.Unit, lines []byte, differ memo.Difference) (_ []byte, called bool, err error) {
	first := u.Note.Pass != st.passes
	switch {
	case first:
		u.Note.Pass = st.passes
		u.Sign(nil)
	case u.IsSigned() && !u.IsAlike(lines, differ):
		u.Note.Varied = true
		u.Sign(nil)
	}
	at := len(dst)
	dst = u.Append(dst, lines, differ)
	if u.IsSigned() {
		return dst, false, nil
	}
	url := u.URL()
	start := at + url.Start
	if dst, err = st.signHarmless(dst[:at+url.End], start, form(u.Note.Form), u.Note.Report); err != nil {
		return dst, true, err
	}
	if first && st.alike != nil && !u.Note.Varied && !u.Note.Report && u.IsAlike(lines, differ) {
		st.signAlike(u, dst[start:])
	}
	return append(dst, lines[u.URI().End:u.Len()]...), true, nil
}

// signAlike lets a unit append to its next URLs what signHarmless has just appended to signed, if the Signer signs them alike.
func (st *state) signAlike(u *memo.Unit, signed []byte) {
	appended, ok := bytes.CutPrefix(signed, st.abs)
	if ok && len(appended) <= 1<<15 && ordinary(appended) && st.alike.SignAlike(st.ctx, st.abs) {
		u.Sign(appended)
	}
}
