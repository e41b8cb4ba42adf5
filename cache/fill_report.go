package cache

import "time"

// Fill is what Transport.OnFill learns about a question to the origin that has come to its end.
type Fill struct {
	// Key is that of Transport.Key, with an appendix for a variant or a slice; URL is what was asked for.
	Key, URL string
	// Status is that of the origin's answer; 304: what was stored was confirmed; 0: there was no answer.
	Status int
	// Wait is how long the header took, Took how long all of it did.
	Wait, Took time.Duration
	// Bytes is how much of the body came.
	Bytes int64
	// Stored: the Store has it now.
	Stored bool
	// Err is why the answer did not come whole; nil: it did.
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
