//go:build unix

package rangeserve

import "syscall"

// openNonblock keeps open from waiting for the other end of a named pipe. For a regular file it means nothing.
const openNonblock = syscall.O_NONBLOCK
