package cache

import "time"

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

// report calls the hook.
func (o *flight) report(f Fill) {
	if o.t.OnFill == nil {
		return
	}
	var err error
	defer o.t.recovered(&err)
	f.Key, f.URL, f.Took = o.key, o.req.URL.String(), time.Since(o.asked)
	if f.Wait == 0 {
		f.Wait = f.Took
	}
	o.t.OnFill(f)
}
