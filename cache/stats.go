package cache

import (
	"sync/atomic"
	"time"
)

// Stats are the counters of a Transport since it began. Fills is a gauge.
type Stats struct {
	Hits   uint64 // requests answered from the Store
	Misses uint64 // requests for which the origin was asked
	Joins  uint64 // requests that shared the origin request of another
	Passed uint64 // requests handed to Base unchanged, because their answer cannot be shared

	Revalidations uint64 // stored answers that the origin confirmed (304)
	Stale         uint64 // requests answered with something past its TTL

	StoreBytes  uint64 // body bytes given to viewers from the Store
	FillBytes   uint64 // body bytes given to viewers from running fills
	OriginBytes uint64 // body bytes that fills read from the origin

	Prefetched     uint64 // segments fetched before a viewer asked for them, for Transport.Ahead
	PrefetchedUsed uint64 // those of them that a viewer has asked for since

	Fills     int    // answers being fetched now, from the question to the last byte
	Stored    uint64 // entries put into the Store
	Abandoned uint64 // fills stopped because everybody had left
	Errors    uint64 // fills that failed, and failures of hooks and of the Store
	Evictions uint64 // entries that a Store of this package dropped to make room
}

// counters are cheap enough to be always on. Those of one request lie on one or two cache lines.
type counters struct {
	hits, misses, joins, passed        atomic.Uint64
	revalidations, stale               atomic.Uint64
	storeBytes, fillBytes, originBytes atomic.Uint64
	stored, abandoned, errors          atomic.Uint64
}

// Fill is what Transport.OnFill learns about a request to the origin that has ended.
type Fill struct {
	// Key is that of Transport.Key, with a suffix for a variant or a slice. URL is the URL that was requested.
	Key, URL string
	// Status is the status of the origin's answer. 304: the stored answer was confirmed. 0: there was no answer.
	Status int
	// Wait is the time until the header came, Took the time until the end.
	Wait, Took time.Duration
	// Bytes is how much of the body arrived.
	Bytes int64
	// Stored: the Store has the answer now.
	Stored bool
	// Err is why the answer did not arrive whole. Nil: it did.
	Err error
}
