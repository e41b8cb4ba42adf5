//go:build unix

package rangeserve

import "syscall"

// openNonblock keeps open from waiting for the other end of a named pipe. For a regular file it means nothing.
const openNonblock = syscall.O_NONBLOCK

// maxHandles is how many files stay open between requests.
const maxHandles = 64
