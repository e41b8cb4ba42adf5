package rewrite

import (
	"bytes"
	"math/bits"
)

// signature is what a unit knows of signing its URLs.
type signature struct {
	pass   int    // the playlist that it was asked for
	signed bool   // out has what Sign appended
	apart  uint64 // the words with digits that tell URLs apart which are not signed alike
	inURI  uint64 // the words of the URI
	varied bool   // there were such URLs
}

// tellApart finds the digits of the URI that stand neither in its query nor in its file name before the extension.
func (u *unit) tellApart() {
	uri := u.src[:u.token.end]
	query := until(uri, u.token.start, len(uri), '?')
	name := u.token.start + bytes.LastIndexByte(uri[u.token.start:query], '/') + 1
	dot := query - len(extension(uri[name:query])) - 1
	if dot < name || uri[dot] != '.' {
		dot = query
	}
	for k := range u.words {
		w, bit := &u.words[k], uint64(1)<<(k&63)
		at := int(w.at)
		w.apart = w.digits << 4 & high & (bytesOf(at, u.token.start, name) | bytesOf(at, dot, query))
		if w.apart != 0 {
			u.apart |= bit
		}
		if bytesOf(at, u.token.start, u.token.end) != 0 {
			u.inURI |= bit
		}
	}
}

// alike tells whether the URL of text, which matches, is signed as that of src.
func (u *unit) alike(text []byte, differ, loose uint64) bool {
	if loose&u.inURI != 0 {
		return false
	}
	for d := differ & u.apart; d != 0; d &= d - 1 {
		w := &u.words[bits.TrailingZeros64(d)]
		if differing(load(text, int(w.at))^load(u.src, int(w.at)))&w.apart != 0 {
			return false
		}
	}
	return true
}

// sign makes what Sign appended a part of out; nil takes it away.
func (u *unit) sign(appended []byte) {
	if u.signed || len(appended) > 0 {
		u.out = append(append(u.out[:u.url.end], appended...), u.src[u.token.end:]...)
		u.signed = len(appended) > 0
		u.place()
	}
}

// signedAhead tells whether what a unit makes of text, which matches, is signed. Sign is called for the first URL, if it
// signs others alike.
func (st *state) signedAhead(u *unit, text []byte, differ, loose uint64) (bool, error) {
	if u.pass != st.pass {
		u.pass = st.pass
		u.sign(nil)
		if st.alike != nil && !u.varied && u.alike(text, differ, loose) {
			return st.signAhead(u, text, differ)
		}
	}
	if u.signed && !u.alike(text, differ, loose) {
		u.varied = true
		u.sign(nil)
	}
	return u.signed, nil
}

func (st *state) signAhead(u *unit, text []byte, differ uint64) (bool, error) {
	st.text = u.append(st.text[:0], text, differ)
	st.abs = append(st.abs[:0], st.text[u.url.start:u.url.end]...) // the hook may write to what it is given
	signed, err := st.Sign.Sign(st.ctx, st.text[u.url.start:u.url.end:u.url.end])
	if err != nil {
		return false, err
	}
	appended, ok := bytes.CutPrefix(signed, st.abs)
	if ok && ordinary(appended) && st.alike.SignAlike(st.ctx, st.abs) {
		u.sign(appended)
	}
	return u.signed, nil
}
