//go:build !unix

package rangeserve

// openNonblock is nothing where named pipes do not lie in folders.
const openNonblock = 0

// maxHandles is nothing where an open file cannot be replaced or removed.
const maxHandles = 0
