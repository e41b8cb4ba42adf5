package cache

import (
	"context"
	"errors"
	"io"
	"time"
)

var errDrips = &fault{ErrIdle, errors.New("it drips")}

// pump copies from the origin until it ends, and returns nil when the answer came whole; its last bytes are then still to
// be committed.
func (f *fill) pump() (last int, err error) {
	defer f.t.recovered(&err)
	idle := time.AfterFunc(f.t.idle(), func() {
		// A Body that does not heed its context must not hold the viewers.
		err := &fault{reason: ErrIdle}
		f.fail(err)
		f.o.cancel(err)
		f.t.close(f.src)
	})
	defer idle.Stop()
	length, size, waited := f.body.Length(), int64(0), time.Duration(0)
	for {
		room, err := f.room()
		if err != nil {
			return 0, err
		}
		if f.t.drips(size, length, waited) {
			return 0, errDrips
		}
		asked := time.Now()
		f.silent.Store(int64(asked.Sub(f.o.asked)))
		n, err := f.read(room, idle)
		waited += time.Since(asked)
		have := size + int64(n)
		var beyond [1]byte
		for err == nil && have == length {
			var more int
			more, err = f.read(beyond[:], idle)
			have += int64(more)
		}
		switch {
		case length >= 0 && have > length:
			return 0, &fault{ErrBroken, errors.New("more bytes than declared")}
		case err == io.EOF && have == length:
			return n, nil
		case err != nil && context.Cause(f.ctx) != nil:
			return 0, context.Cause(f.ctx)
		case err == io.EOF && length < 0:
			return n, nil
		case err == io.EOF:
			return 0, &fault{ErrBroken, io.ErrUnexpectedEOF}
		case err != nil:
			return 0, &fault{ErrBroken, err}
		}
		f.body.Commit(n)
		size += int64(n)
	}
}

// stalls tells whether the origin has been silent for half its time: who comes now had better ask anew than see the other
// half, and a body that breaks off.
func (f *fill) stalls() bool {
	return time.Since(f.o.asked)-time.Duration(f.silent.Load()) > f.t.idle()/2
}

// read is one Read of the origin's body, within the idle limit.
func (f *fill) read(p []byte, idle *time.Timer) (int, error) {
	idle.Reset(f.t.idle())
	n, err := f.src.Read(p)
	if !idle.Stop() {
		return 0, &fault{reason: ErrIdle}
	}
	if n < 0 || n > len(p) {
		return 0, &fault{ErrBroken, errors.New("invalid count from Read")}
	}
	f.t.count.originBytes.Add(uint64(n))
	return n, err
}
