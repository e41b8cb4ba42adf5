//go:build !unix

package rangeserve

// openNonblock is nothing where named pipes do not lie in folders.
const openNonblock = 0
