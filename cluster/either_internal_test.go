package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sealed is a body that breaks when the context of its request ends.
type sealed struct {
	ctx    context.Context
	closed *atomic.Int32
}

func (s sealed) Read([]byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

func (s sealed) Close() error { s.closed.Add(1); return nil }

// If two answers come at the same instant, one of them counts, and its request is not cancelled.
func TestTheSlowerOfTwoAnswersIsNotRead(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			var closed [2]atomic.Int32
			after := func(i int, d time.Duration) ask {
				return func(ctx context.Context) (*http.Response, error) {
					time.Sleep(d)
					if err := context.Cause(ctx); err != nil {
						return nil, err
					}
					time.Sleep(time.Nanosecond) // the header is read: nobody looks at the context again
					return &http.Response{Body: sealed{ctx, &closed[i]}}, nil
				}
			}
			q := &question{n: &Node{patience: time.Second}, r: httptest.NewRequest(http.MethodGet, "/a.ts", nil)}
			resp, overtaken, err := q.either(t.Context(), after(0, 2*time.Second), after(1, time.Second))
			require.NoError(t, err)
			synctest.Wait()
			_, err = io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.LessOrEqual(t, closed[0].Load(), int32(1))
			require.LessOrEqual(t, closed[1].Load(), int32(1))
			chosen := 0
			if overtaken {
				chosen = 1
			}
			require.EqualValues(t, 1, closed[chosen].Load())
		})
	}
}

// Another node that does not work either is no reason to wait for the origin alone: there may be a third.
func TestAWayThatFailsIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &question{n: &Node{patience: time.Second}, r: httptest.NewRequest(http.MethodGet, "/a.ts", nil)}
		hangs := func(ctx context.Context) (*http.Response, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		tries := 0
		fails := func(until int) ask {
			tries = 0
			return func(context.Context) (*http.Response, error) {
				if tries++; tries < until {
					return nil, &nodeFault{cause: errDown}
				}
				return &http.Response{Body: http.NoBody}, nil
			}
		}
		for until := range mostTries {
			begun := time.Now()
			resp, overtaken, err := q.either(t.Context(), hangs, fails(until+1))
			require.NoError(t, err)
			require.True(t, overtaken)
			require.Equal(t, time.Duration(until+1)*time.Second, time.Since(begun))
			require.NoError(t, resp.Body.Close())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err := q.either(ctx, hangs, fails(100))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, mostTries, tries)

		begun := time.Now()
		_, _, err = q.either(t.Context(), func(context.Context) (*http.Response, error) {
			time.Sleep(1500 * time.Millisecond)
			return nil, errCut
		}, fails(100))
		require.ErrorIs(t, err, errCut)
		require.Equal(t, 1500*time.Millisecond, time.Since(begun), "nothing is tried again when the first has ended")
		require.Equal(t, 1, tries)
	})
}

func TestWhatViewersNameIsRememberedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gone
		for i := range 3 * mostGone {
			g.add(fmt.Sprint("http://a:1 host", i), farFor)
		}
		require.Len(t, g.until, mostGone)
		require.True(t, g.has("http://a:1 host0"))
		time.Sleep(farFor / 2)
		g.add("http://a:1 host0", farFor)
		time.Sleep(farFor * 3 / 4)
		require.True(t, g.has("http://a:1 host0"), "for longer")
		g.add("http://a:1 other", farFor)
		require.Len(t, g.until, 2)
	})
}

// A hook that panics leaves no answer of the other way open, whether that comes before the panic, after it, or not at all.
func TestAPanicOfAHookLeavesNoAnswerOpen(t *testing.T) {
	for name, c := range map[string]struct {
		panics, answers time.Duration
		opened          int32
	}{
		"before the other way is tried": {time.Second / 2, 0, 0},
		"before the other answer":       {2 * time.Second, 2 * time.Second, 1},
		"after the other answer":        {3 * time.Second, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var opened, closed atomic.Int32
				first := func(context.Context) (*http.Response, error) {
					time.Sleep(c.panics)
					panic("a hook")
				}
				var sent context.Context
				second := func(ctx context.Context) (*http.Response, error) {
					sent = ctx
					opened.Add(1)
					time.Sleep(c.answers) // the context is not looked at
					return &http.Response{Body: sealed{ctx, &closed}}, nil
				}
				q := &question{n: &Node{patience: time.Second}, r: httptest.NewRequest(http.MethodGet, "/a.ts", nil)}
				require.PanicsWithValue(t, "a hook", func() { _, _, _ = q.either(t.Context(), first, second) })
				time.Sleep(time.Minute)
				require.Equal(t, c.opened, opened.Load())
				require.Equal(t, c.opened, closed.Load())
				if sent != nil {
					require.Error(t, sent.Err())
				}
			})
		})
	}
}
