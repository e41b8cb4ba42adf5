package stall_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/stall"
	"github.com/stretchr/testify/require"
)

// client notes the deadlines that it is given.
type client struct {
	*httptest.ResponseRecorder
	pieces    []int           // KiB
	deadlines []time.Duration // from now; 0: none
	slow      time.Duration
}

func (c *client) SetWriteDeadline(at time.Time) error {
	d := time.Duration(0)
	if !at.IsZero() {
		d = time.Until(at)
	}
	c.deadlines = append(c.deadlines, d)
	return nil
}

func (c *client) Write(p []byte) (int, error) {
	time.Sleep(c.slow)
	c.pieces = append(c.pieces, len(p)>>10)
	return c.Body.Write(p)
}

func TestEachPieceHasTimeOfItsOwn(t *testing.T) {
	const moment = time.Second / 16
	body := bytes.Repeat([]byte("x"), 1400<<10)
	for name, c := range map[string]struct {
		limit, slow time.Duration
		protocol    int
		want        []time.Duration
		pieces      []int // KiB
	}{
		"a slow client": {time.Second, time.Second / 2, 1, slices.Repeat([]time.Duration{time.Second + moment}, 19),
			slices.Concat([]int{256}, slices.Repeat([]int{64}, 17), []int{56})},
		"a client of medium speed": {time.Second, moment * 3 / 4, 1,
			[]time.Duration{time.Second + moment, 3 * time.Second, time.Second + moment},
			[]int{256, 512, 512, 64, 56}},
		"a fast client":             {time.Second, 0, 1, []time.Duration{time.Second + moment, 3 * time.Second}, []int{256, 512, 512, 120}},
		"HTTP/2 has none left over": {time.Second, 0, 2, []time.Duration{time.Second + moment, 3 * time.Second, 0}, []int{256, 512, 512, 120}},
		"by default":                {0, 0, 1, []time.Duration{30*time.Second + 30*time.Second/16, 90 * time.Second}, []int{256, 512, 512, 120}},
		"no limit":                  {-1, time.Hour, 2, nil, []int{512, 512, 376}},
	} {
		synctest.Test(t, func(t *testing.T) {
			to := &client{ResponseRecorder: httptest.NewRecorder(), slow: c.slow}
			w := stall.New(to, &http.Request{ProtoMajor: c.protocol}, c.limit)
			n, err := w.Write(body)
			require.NoError(t, err)
			require.Equal(t, len(body), n)
			require.Equal(t, c.want, to.deadlines, name)
			require.Equal(t, c.pieces, to.pieces, name)
			require.Equal(t, body, to.Body.Bytes())
			w.Break()
			require.Negative(t, to.deadlines[len(to.deadlines)-1])
		})
	}
}

// Over HTTP/2, a deadline is removed after each Write, because the next one may be long in coming. None comes after the last.
func TestTheLastDeadlineStays(t *testing.T) {
	const limit = time.Second + time.Second/16
	for name, row := range map[string]struct {
		protocol int
		expect   int64
		want     []time.Duration // after each of two Writes of a byte, a Flush, and Arm
	}{
		"two bytes":        {2, 2, []time.Duration{limit, 0, limit, 0, limit}},
		"three bytes":      {2, 3, []time.Duration{limit, 0, limit, 0, limit, 0, limit}},
		"an unknown rest":  {2, -1, []time.Duration{limit, 0, limit, 0, limit, 0, limit}},
		"over HTTP/1":      {1, 2, []time.Duration{limit}},
		"nothing is known": {2, 0, []time.Duration{limit, 0, limit, 0, limit, 0, limit}},
	} {
		synctest.Test(t, func(t *testing.T) {
			to := &client{ResponseRecorder: httptest.NewRecorder()}
			w := stall.New(to, &http.Request{ProtoMajor: row.protocol}, time.Second)
			w.Expect(row.expect)
			for range 2 {
				_, err := w.Write([]byte("x"))
				require.NoError(t, err)
			}
			require.NoError(t, w.Flush())
			w.Arm()
			require.Equal(t, row.want, to.deadlines, name)
		})
	}
}

// player takes the first bytes at once, as the buffers of its connection do, and the rest at a constant rate.
type player struct {
	*httptest.ResponseRecorder
	buffer   int
	rate     time.Duration // for 1 KiB
	deadline time.Time
}

func (p *player) SetWriteDeadline(at time.Time) error {
	p.deadline = at
	return nil
}

func (p *player) Write(b []byte) (int, error) {
	at := min(p.buffer, len(b))
	p.buffer -= at
	takes := time.Duration(len(b)-at) * p.rate / 1024
	if left := time.Until(p.deadline); takes > left {
		time.Sleep(left)
		return at, os.ErrDeadlineExceeded
	}
	time.Sleep(takes)
	return p.Body.Write(b)
}

// A client that reads at the rate of a song gets all of it. A client that reads nothing is cut.
func TestSlowIsNotStill(t *testing.T) {
	body := make([]byte, 4<<20)
	for name, c := range map[string]struct {
		buffer int
		rate   time.Duration
		cut    time.Duration // 0: not cut
	}{
		"64 kbit/s once the buffers are full": {1 << 20, time.Second * 1024 / 8000, 0},
		"48 kbit/s once the buffers are full": {900 << 10, time.Second * 1024 / 6000, 0},
		"80 kbit/s from the start":            {0, time.Second * 1024 / 10000, 0},
		"nothing at all":                      {0, 24 * time.Hour, 30*time.Second + 30*time.Second/16},
		"nothing once the buffers are full":   {1 << 20, 24 * time.Hour, 90 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			to := &player{ResponseRecorder: httptest.NewRecorder(), buffer: c.buffer, rate: c.rate}
			w, start := stall.New(to, &http.Request{ProtoMajor: 1}, 0), time.Now()
			_, err := w.Write(body)
			if c.cut == 0 {
				require.NoError(t, err, name)
				return
			}
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, name)
			require.Equal(t, c.cut, time.Since(start), name)
		})
	}
}

// Over HTTP/2 no deadline outlives a Write. Many writes that are no longer than a piece must still become shorter ones.
func TestSlowIsNotStillInManyWrites(t *testing.T) {
	for _, major := range []int{1, 2} {
		for _, length := range []int{512 << 10, 256 << 10, 64 << 10} {
			synctest.Test(t, func(t *testing.T) {
				to := &player{ResponseRecorder: httptest.NewRecorder(), buffer: 3 << 20, rate: time.Second * 1024 / 6000}
				w := stall.New(to, &http.Request{ProtoMajor: major}, 0)
				for i := range 10 << 20 / length {
					if i == 4<<20/length {
						to.rate = time.Second * 1024 / 2500 // 64 KiB in 26 s
					}
					_, err := w.Write(make([]byte, length))
					require.NoError(t, err, "HTTP/%d, write %d of %d", major, i, length)
				}
			})
		}
	}
}
