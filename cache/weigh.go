package cache

// weigh estimates what an Entry takes beside its body: the structures of this package, a place in a map, one
// among the ghosts, and its strings.
func weigh(key string, p *packed) int64 {
	const item = 544
	return int64(item + len(key) + len(p.text))
}
