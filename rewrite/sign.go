package rewrite

import "bytes"

// sign lets the hook extend the public URL that dst holds from start on.
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

// signHarmless is sign for a URL in which harmless has nothing to do: if the hook has appended to it only, what it has
// appended is all that has to be looked at.
func (st *state) signHarmless(dst []byte, start int, form form) ([]byte, error) {
	if st.Sign == nil {
		return dst, nil
	}
	st.abs = append(st.abs[:0], dst[start:]...) // the hook may write to what it is given
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
	if len(dst) >= end && bytes.Equal(dst[start:end], st.abs) && ordinary(dst[end:]) {
		return dst, nil
	}
	return harmless(harmless(dst, start, quoted), start, form), nil
}
