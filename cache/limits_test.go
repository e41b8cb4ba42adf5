package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// Zero is the default of each limit, and negative is no limit.
func TestLimits(t *testing.T) {
	slow := func(d time.Duration) *scripted {
		return &scripted{answer: func(*http.Request, int64) reply {
			time.Sleep(d)
			return text("x", "Cache-Control", "max-age=10")
		}}
	}
	for name, row := range map[string]struct {
		c  *cache.Transport
		ok func(t *testing.T, c *cache.Transport) bool
		is bool
	}{
		"Idle, zero":         {&cache.Transport{Base: slow(11 * time.Second)}, answers, false},
		"Idle, negative":     {&cache.Transport{Base: slow(time.Hour), Idle: -1}, answers, true},
		"MaxFills, zero":     {&cache.Transport{Base: slow(time.Second)}, answersManyAtOnce, false},
		"MaxFills, negative": {&cache.Transport{Base: slow(time.Second), MaxFills: -1}, answersManyAtOnce, true},
		"MaxBody, zero":      {&cache.Transport{}, sharesLongBodies, false},
		"MaxBody, negative":  {&cache.Transport{MaxBody: -1}, sharesLongBodies, true},
		"MinRate, zero":      {&cache.Transport{}, takesDrips, false},
		"MinRate, negative":  {&cache.Transport{MinRate: -1}, takesDrips, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { require.Equal(t, row.is, row.ok(t, row.c)) })
		})
	}
}

func answers(t *testing.T, c *cache.Transport) bool {
	_, _, err := try(t, c, segURL)
	return err == nil
}

func answersManyAtOnce(t *testing.T, c *cache.Transport) bool {
	var refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 1100 {
		wg.Go(func() {
			_, _, err := try(t, c, fmt.Sprint("http://o/", i))
			if err != nil {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	return refused.Load() == 0
}

type emptiness struct{}

func (emptiness) Read(p []byte) (int, error) { return len(p), nil }

func sharesLongBodies(t *testing.T, c *cache.Transport) bool {
	const size = 64<<20 + 1
	o := &scripted{answer: func(*http.Request, int64) reply {
		return reply{header: head("Content-Type", "video/mp4"), body: io.LimitReader(emptiness{}, size), length: size}
	}}
	c.Base = o
	for range 2 {
		resp, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		defer resp.Body.Close()
	}
	return o.asked.Load() == 1
}

// dripping is a body that brings a byte every five seconds.
type dripping struct{}

func (dripping) Read(p []byte) (int, error) {
	time.Sleep(5 * time.Second)
	return 1, nil
}

func takesDrips(t *testing.T, c *cache.Transport) bool {
	c.Base = trip(func(r *http.Request) (*http.Response, error) {
		return reply{body: io.LimitReader(dripping{}, 100), length: 100}.response(r), nil
	})
	return answers(t, c)
}
