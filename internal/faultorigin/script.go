package faultorigin

import (
	"net/http"
	"time"
)

// Script says how one request is answered. The zero value is an empty 200. Offsets count body bytes from 1: zero means
// "never". Durations run on the wall clock. A Script is a value; its Header and Body are read, never changed.
type Script struct {
	Status int         // 0: 200
	Header http.Header // sent as given; Content-Length and Date are added unless present
	Body   []byte

	Hang    bool          // never answer, until the client or the Origin ends
	Refuse  bool          // close the connection before any byte of an answer
	Delay   time.Duration // before the header
	Step    int           // body bytes a write; 0: all at once
	Every   time.Duration // pause after each Step
	StallAt int           // after this many body bytes send nothing more, but keep the connection open
	CutAt   int           // after this many body bytes reset the connection
	HoldAt  int           // after this many body bytes call Hold, once, and wait for it
	Hold    func()
	Chunked bool         // no Content-Length; with CutAt the last chunk is missing
	Length  int64        // declare this Content-Length instead of the true one; 0: the true one
	Ranges  bool         // answer Range and conditional requests properly; excludes all of the above but Header, Body, Delay
	Raw     []byte       // send these bytes as the whole answer, header included; excludes all of the above but Delay
	Loop    bool         // repeat Body for ever (with Chunked)
	Func    http.Handler // answers instead of all of the above
}
