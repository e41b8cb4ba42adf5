// Package freeport finds addresses for tests that start programs, or start them again, at an address that others must know before.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// The system takes ports of connections, and of listeners on port 0, from 32768 on (Linux) or from 49152 on. Such a port may be
// in use a moment after it was free.
const (
	first = 20_000
	ports = 12_000
)

// next is where the search goes on. Tests that run side by side would now and then draw one port twice, before the first of
// them listens.
var next = rand.Uint32N(ports)

// Addr returns 127.0.0.1:PORT with a port of five digits on which nobody listens, and which the system assigns to nothing. It
// returns thousands of others before it returns a port again.
func Addr() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(atomic.AddUint32(&next, 1)%ports)))
		if ln, err := net.Listen("tcp", addr); err == nil {
			return addr, ln.Close()
		}
	}
	return "", errors.New("freeport: no port is free")
}
