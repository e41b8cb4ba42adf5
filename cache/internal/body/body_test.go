package body_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/stretchr/testify/require"
)

// write fills p with the bytes at off of this body.
func write(p []byte, number, off int64) {
	for i := range p {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(number)<<40|uint64(off+int64(i))/8)
		p[i] = b[(off+int64(i))%8]
	}
}

// grow appends n bytes to a Buffer of size bytes. It returns false if there is no memory.
func grow(b *body.Buffer, number, size, n int64) bool {
	for to := size + n; size < to; {
		p := b.Space()
		if p == nil {
			return false
		}
		p = p[:min(int64(len(p)), to-size)]
		write(p, number, size)
		b.Commit(len(p))
		size += int64(len(p))
	}
	return true
}

// checker keeps checking its bytes for a while.
type checker struct {
	t      *testing.T
	number int64
	off    int64
	slow   bool
}

func (c *checker) Write(p []byte) (int, error) {
	if c.slow {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	want := make([]byte, len(p))
	write(want, c.number, c.off)
	if string(want) != string(p) {
		c.t.Errorf("body %d: wrong bytes among the %d at %d", c.number, len(p), c.off)
	}
	c.off += int64(len(p))
	return len(p), nil
}

// readAll copies a Reader to w until it ends.
func readAll(r *body.Reader, w io.Writer) error {
	if !r.Enter() {
		return io.ErrClosedPipe
	}
	defer r.Leave()
	for {
		p, more, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if more != nil {
			<-more
			continue
		}
		n, err := r.Write(w, p, true)
		r.Advance(n)
		if err != nil {
			return err
		}
	}
}

// Bodies that grow, are dropped behind their readers, and are stored and given up, all in the same memory at once: no reader
// sees a byte of another body, and nothing is left at the end.
func TestBodiesShareMemoryAndNoBytes(t *testing.T) {
	for name, pool := range map[string]*body.Pool{"pages": body.NewPool(4<<20, nil), "heap": body.NewHeap(4 << 20)} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for worker := range int64(4) {
				wg.Go(func() {
					for round := range int64(4) {
						one(t, pool, worker*100+round, rand.IntN(2) == 0)
					}
				})
			}
			wg.Wait()
			require.Zero(t, pool.Size())
		})
	}
}

func one(t *testing.T, pool *body.Pool, number int64, drops bool) {
	size := 1 + rand.Int64N(500_000)
	b := pool.NewBuffer(-1)
	var readers sync.WaitGroup
	for i := range 3 {
		r := new(body.Reader)
		b.Open(r, 0, math.MaxInt64)
		readers.Go(func() {
			defer r.Close()
			err := readAll(r, &checker{t, number, 0, i > 0})
			if err != nil && !errors.Is(err, body.ErrDropped) && !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("body %d: %v", number, err)
			}
		})
	}
	end := error(nil)
	for have := int64(0); have < size; {
		n := min(1+rand.Int64N(50_000), size-have)
		if !grow(b, number, have, n) {
			end = io.ErrNoProgress
			break
		}
		have += n
		if drops {
			_, _, fastest := b.Readers()
			b.Drop(fastest)
		}
	}
	if end == nil && !drops {
		blob := b.Seal(0)
		b.End(nil)
		require.True(t, blob.Borrow())
		r := new(body.Reader)
		blob.Open(r, 0, size)
		require.NoError(t, readAll(r, &checker{t, number, 0, false}))
		r.Close()
		blob.Return()
	}
	b.End(end)
	readers.Wait()
	b.Return()
}

// Dropped bytes stay while a reader uses them, and not longer.
func TestWhatIsLookedAtIsNotDropped(t *testing.T) {
	pool := body.NewPool(1<<20, nil)
	b := pool.NewBuffer(-1)
	var r body.Reader
	b.Open(&r, 0, math.MaxInt64)
	require.True(t, grow(b, 1, 0, 64<<10))
	require.True(t, r.Enter())
	p, _, err := r.Next()
	require.NoError(t, err)
	before := pool.Size()
	b.Drop(64 << 10)
	require.Equal(t, before-60<<10, pool.Size(), "all but the first chunk")
	require.True(t, grow(b, 2, 64<<10, 200<<10))
	_, err = (&checker{t, 1, 0, false}).Write(p)
	require.NoError(t, err)
	r.Advance(len(p))
	size := pool.Size()
	_, _, err = r.Next()
	require.ErrorIs(t, err, body.ErrDropped)
	require.Equal(t, size-4<<10, pool.Size())
	r.Leave()
	r.Close()
	b.Return()
	require.Zero(t, pool.Size())
}

type failed struct{}

func (failed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A piece that is torn after it was dropped stays as long as any other.
func TestAPieceIsTornAfterItWasDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := body.NewPool(1<<20, nil)
		b := pool.NewBuffer(-1)
		var r body.Reader
		b.Open(&r, 0, math.MaxInt64)
		require.True(t, grow(b, 1, 0, 64<<10))
		require.True(t, r.Enter())
		r.Advance(32 << 10)
		p, _, err := r.Next()
		require.NoError(t, err)
		b.Drop(64 << 10)
		_, err = r.Write(failed{}, p, true)
		require.ErrorIs(t, err, io.ErrClosedPipe)
		r.Leave()
		r.Close()
		b.Return()
		require.Equal(t, int64(32<<10), pool.Size())
		time.Sleep(body.TornFor - 1)
		require.Equal(t, int64(32<<10), pool.Size())
		time.Sleep(time.Minute)
		require.Zero(t, pool.Size())
	})
}

// lengths notes the lengths of what is written, and fails after that.
type lengths []int

func (l *lengths) Write(p []byte) (int, error) {
	*l = append(*l, len(p))
	return 0, io.ErrClosedPipe
}

// A whole body that lies in one piece is written in long pieces, but of what may be torn there is never much.
func TestLongPiecesAreNotTorn(t *testing.T) {
	for name, row := range map[string]struct {
		lingers bool
		piece   int
		torn    int64
	}{
		"a writer that is done with its bytes": {false, 512 << 10, 0},
		"a writer that lingers":                {true, 256 << 10, 256 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := body.NewPool(16<<20, nil)
				b := pool.NewBuffer(2 << 20)
				require.True(t, grow(b, 1, 0, 2<<20))
				blob := b.Seal(0)
				b.End(nil)
				var r body.Reader
				require.True(t, blob.Borrow())
				blob.Open(&r, 0, blob.Size())
				require.True(t, r.Enter())
				p, _, err := r.Next()
				require.NoError(t, err)
				require.Len(t, p, 512<<10)
				var l lengths
				_, err = r.Write(&l, p, row.lingers)
				require.ErrorIs(t, err, io.ErrClosedPipe)
				require.Equal(t, lengths{row.piece}, l)
				r.Leave()
				r.Close()
				blob.Return()
				b.Return()
				require.Equal(t, row.torn, pool.Size())
				time.Sleep(time.Minute)
				require.Zero(t, pool.Size())
			})
		})
	}
}

// A lent body belongs to its user until it is garbage.
func TestALentBodyIsGivenBackWithItsLastReference(t *testing.T) {
	pool := body.NewPool(1<<20, nil)
	b := pool.NewBuffer(100)
	require.True(t, grow(b, 1, 0, 100))
	lent := b.Seal(0).Lend()
	b.Return()
	require.NotZero(t, pool.Size())
	got := make([]byte, 100)
	_, err := lent.ReadAt(got, 0)
	require.NoError(t, err)
	_, err = (&checker{t, 1, 0, false}).Write(got)
	require.NoError(t, err)
	lent = nil
	require.Eventually(t, func() bool { runtime.GC(); return pool.Size() == 0 }, time.Minute, time.Millisecond)
}
