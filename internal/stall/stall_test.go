package stall_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
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
		"a slow client": {time.Second, time.Second / 2, 1, slices.Repeat([]time.Duration{time.Second + moment}, 6),
			[]int{256, 256, 256, 256, 256, 120}},
		"a client of medium speed": {time.Second, moment * 3 / 4, 1, slices.Repeat([]time.Duration{time.Second + moment}, 2),
			[]int{256, 512, 256, 376}},
		"a fast client":             {time.Second, 0, 1, []time.Duration{time.Second + moment}, []int{256, 512, 512, 120}},
		"HTTP/2 has none left over": {time.Second, 0, 2, []time.Duration{time.Second + moment, 0}, []int{256, 512, 512, 120}},
		"by default":                {0, 0, 1, []time.Duration{30*time.Second + 30*time.Second/16}, []int{256, 512, 512, 120}},
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
