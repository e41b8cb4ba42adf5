package cache

// weigh estimates what an Entry takes beside its body: the structures of this package and of maps, and its strings.
func weigh(key string, e *Entry) int64 {
	const entry, field = 640, 64
	n := entry + 2*len(key) + len(e.URL)
	for name, values := range e.Header {
		n += field + len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	for name, values := range e.Vary {
		n += field + len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	return int64(n)
}
