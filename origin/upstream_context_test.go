package origin_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

type testKey struct{}

// The context of a Transport is made without the help of package context. It must be as good as one of that package.
func TestContextOfTransport(t *testing.T) {
	const second = time.Second
	slow := func(t *testing.T, err error) {
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
	}
	for name, wait := range map[string]func(t *testing.T, ctx context.Context){
		"itself": func(*testing.T, context.Context) {},
		"child": func(_ *testing.T, ctx context.Context) {
			child, stop := context.WithCancel(ctx)
			<-child.Done()
			stop()
		},
		"child with a cause": func(t *testing.T, ctx context.Context) {
			child, stop := context.WithCancelCause(ctx)
			<-child.Done()
			stop(nil)
			slow(t, context.Cause(child))
		},
		"child with time to spare": func(t *testing.T, ctx context.Context) {
			child, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			<-child.Done()
			require.ErrorIs(t, child.Err(), context.Canceled)
		},
		"function": func(_ *testing.T, ctx context.Context) {
			called := make(chan struct{})
			context.AfterFunc(ctx, func() { close(called) })
			<-called
		},
		"many at once": func(_ *testing.T, ctx context.Context) {
			done := make(chan struct{})
			for range 10 {
				go func() { <-ctx.Done(); done <- struct{}{} }()
			}
			for range 10 {
				<-done
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &origin.Proxy{
					Wait:     second,
					Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						ctx := r.Context()
						require.NoError(t, ctx.Err())
						require.Equal(t, "value", ctx.Value(testKey{}))
						wait(t, ctx)
						<-ctx.Done()
						require.ErrorIs(t, ctx.Err(), context.Canceled)
						require.Equal(t, "value", ctx.Value(testKey{}))
						slow(t, context.Cause(ctx))
						return nil, ctx.Err()
					}),
				}
				w, begun := httptest.NewRecorder(), time.Now()
				r := httptest.NewRequest(http.MethodGet, "/x.ts", nil)
				p.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), testKey{}, "value")))
				require.Equal(t, http.StatusGatewayTimeout, w.Code)
				require.Equal(t, second, time.Since(begun))
			})
		})
	}
}

// Code that does not use the context costs nothing, and still learns that it has ended.
func TestContextOfTransportEndsWithTheAnswer(t *testing.T) {
	var kept context.Context
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			kept = r.Context()
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		}),
	}
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x.ts", nil))
	require.ErrorIs(t, kept.Err(), context.Canceled)
	<-kept.Done()
	require.ErrorIs(t, kept.Err(), context.Canceled)
}

// Whoever asks for the end of the context at the moment of its end is told of it.
func TestDoneAtTheEndIsClosed(t *testing.T) {
	for range 500 {
		told := make(chan struct{})
		p := &origin.Proxy{
			Upstream: func(*url.URL) (string, error) { return "http://origin.example/x", nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				go func() {
					<-r.Context().Done()
					close(told)
				}()
				return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Request: r}, nil
			}),
		}
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
		<-told
	}
}

// The first call of Done, which may come after the end, changes nothing about what Err has said.
func TestWhatHasEndedStaysEnded(t *testing.T) {
	var kept context.Context
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://origin.example/x", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			kept = r.Context()
			return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Request: r}, nil
		}),
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil)
	for range 3000 {
		p.ServeHTTP(w, r)
		ask, told := make(chan struct{}), make(chan struct{})
		go func() {
			<-ask
			<-kept.Done()
			close(told)
		}()
		close(ask)
		for ended := false; !ended; {
			for range 20 {
				if kept.Err() == nil {
					require.Fail(t, "it goes on")
				}
			}
			select {
			case <-told:
				ended = true
			default:
			}
		}
	}
}
