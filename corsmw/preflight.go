package corsmw

import "net/http"

// Values of Vary for answers to OPTIONS. The first is for answers that also depend on the origin.
const (
	varyOptions = "Origin, " + varyOpen
	varyOpen    = "Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
	varyOrigin  = "Origin"
)

// isPreflight is the definition in the Fetch standard: an OPTIONS request with both fields.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// answerPreflight ignores which headers the page wants to send: the browser compares them with the list in the answer. So a
// request that names thousands costs no more than any other.
func (m *Middleware) answerPreflight(w http.ResponseWriter, r *http.Request, origin string) {
	const privateNetwork = 1
	h, v := w.Header(), make(values, 0, m.values()+len(m.preflight)+privateNetwork)
	m.set(h, &v, origin)
	if m.any {
		mergeVary(h, &v, varyOpen)
	} else {
		mergeVary(h, &v, varyOptions)
	}
	if origin != "" {
		for _, f := range m.preflight {
			v.put(h, f.name, f.value)
		}
		if m.privateNetwork && only(r.Header["Access-Control-Request-Private-Network"], "true") {
			v.put(h, "Access-Control-Allow-Private-Network", "true")
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// set puts the fields of an ordinary answer into h, except Vary.
func (m *Middleware) set(h http.Header, v *values, origin string) {
	m.setOthers(h, v, origin)
	if origin == "" {
		return
	}
	v.put(h, allowOrigin, origin)
	for _, f := range m.granted {
		v.put(h, f.name, f.value)
	}
}

// setOthers sets the fields that do not begin with Access-Control-.
func (m *Middleware) setOthers(h http.Header, v *values, origin string) {
	for _, f := range m.fixed {
		v.put(h, f.name, f.value)
	}
	if m.timing && origin != "" {
		v.put(h, "Timing-Allow-Origin", origin)
	}
}

func only(values []string, want string) bool { return len(values) == 1 && values[0] == want }
