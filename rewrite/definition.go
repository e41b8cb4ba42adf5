package rewrite

import "strings"

// appendDefinition appends what the tag at hand becomes, and returns how much of the playlist that covers.
func (st *state) appendDefinition(dst []byte, done int, t *token) ([]byte, int) {
	d, ok := st.vars.define(st.src, t)
	if !ok || !d.param || st.clientSees(d) || strings.ContainsAny(d.value, "\"\r\n") || hasVariable([]byte(d.value)) {
		return dst, done
	}
	dst = append(dst, st.src[done:d.start]...)
	dst = append(dst, `NAME="`+d.name+`",VALUE="`+d.value+`"`...)
	return dst, d.end
}

// clientSees tells whether the URL by which the client knows the playlist has the query parameter.
func (st *state) clientSees(d definition) bool {
	switch {
	case st.sight == same:
		return true
	case st.sight == redirected:
		return false
	case st.Map == nil:
		return true
	}
	public, err := st.Map.AppendPublic(nil, []byte(st.base.asked)) // with the fragment, which may stand in the query
	if err != nil {
		return false
	}
	value, ok := queryValue(string(public), d.name)
	return ok && value == d.value
}

// lookAhead collects the variables of the whole playlist when the first definition is met; it reports whether that was now.
func (st *state) lookAhead() bool {
	if st.looked {
		return false
	}
	st.looked = true
	all, ahead := variables{base: st.vars.base}, scanner{}
	ahead.reset(st.src)
	var t token
	for ahead.next(&t) {
		if t.tag.define {
			all.define(st.src, &t)
		}
	}
	st.carry = all.fragment()
	return true
}
