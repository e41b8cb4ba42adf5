package origin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

type coded struct{ status int }

func (e coded) Error() string   { return "http://10.0.0.1/secret" }
func (e coded) HTTPStatus() int { return e.status }

type later struct{ coded }

func (later) RetryAfter() time.Duration { return 2500 * time.Millisecond }

func TestErrorsHaveAStatusAndTellNothing(t *testing.T) {
	plain := errors.New("dial tcp 10.0.0.1:80: refused, http://10.0.0.1/secret")
	wrap := func(err error) error { return fmt.Errorf("http://10.0.0.1/secret: %w", err) }
	for name, row := range map[string]struct {
		upstream, transport, modify error
		status                      int
	}{
		"upstream":                     {upstream: plain, status: 400},
		"upstream, coded":              {upstream: wrap(coded{404}), status: 404},
		"upstream, forbidden":          {upstream: wrap(&origin.ForbiddenError{}), status: 403},
		"transport":                    {transport: plain, status: 502},
		"transport, coded":             {transport: wrap(coded{503}), status: 503},
		"transport, forbidden":         {transport: &url.Error{Op: "Get", URL: "http://10.0.0.1/", Err: &origin.ForbiddenError{}}, status: 403},
		"transport, deadline":          {transport: wrap(context.DeadlineExceeded), status: 504},
		"transport, a senseless code":  {transport: coded{200}, status: 502},
		"modify":                       {modify: plain, status: 502},
		"modify, coded":                {modify: wrap(coded{403}), status: 403},
		"transport, later":             {transport: wrap(later{coded{503}}), status: 503},
		"transport, overloaded, plain": {transport: coded{503}, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			p := &origin.Proxy{
				Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", row.upstream },
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if row.transport != nil {
						return nil, row.transport
					}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
				}),
				ModifyResponse: func(*http.Response) error { return row.modify },
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
			require.Equal(t, row.status, w.Code)
			require.Equal(t, http.StatusText(row.status)+"\n", w.Body.String())
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			if row.status == 503 {
				require.Equal(t, map[bool]string{true: "3", false: "1"}[errors.As(row.transport, &later{})], w.Header().Get("Retry-After"))
			}
		})
	}
}

func TestErrorHandler(t *testing.T) {
	var got error
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return "http://a.example/", nil },
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, &origin.ForbiddenError{Reason: "x"} }),
	}
	p.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		got = err
		w.WriteHeader(p.Status(err))
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	require.Equal(t, 403, w.Code)
	require.ErrorIs(t, got, origin.ErrForbidden)
}

// Nobody but the viewer would otherwise notice that a body broke off after the header.
func TestOnFailureIsCalledOnlyForFailures(t *testing.T) {
	broken := errors.New("broken")
	for name, row := range map[string]struct {
		body io.Reader
		err  error // of the transport
		gone bool  // the viewer
		want error
	}{
		"a whole answer":           {body: strings.NewReader("abc")},
		"no answer":                {err: broken, want: broken},
		"no answer, viewer gone":   {err: broken, gone: true},
		"no byte of the body":      {body: iotest.ErrReader(broken), want: broken},
		"half a body":              {body: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), want: broken},
		"half a body, viewer gone": {body: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var told []error
			p := &origin.Proxy{
				Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(row.body), Request: r}, row.err
				}),
				ModifyResponse: func(resp *http.Response) error {
					if row.gone {
						leave()
					}
					return nil
				},
				OnFailure: func(_ *http.Request, err error) { told = append(told, err) },
			}
			if row.gone && row.err != nil {
				leave()
			}
			w := httptest.NewRecorder()
			aborts(func() { p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/x.ts", nil)) })
			if row.want == nil {
				require.Empty(t, told)
				return
			}
			require.Len(t, told, 1)
			require.ErrorIs(t, told[0], row.want)
		})
	}
}

// The read that the limit ends says "context canceled", which is not the reason.
func TestOnFailureIsToldThatUpstreamStalled(t *testing.T) {
	told := make(chan error, 1)
	f := newFront(t, &origin.Proxy{Idle: 50 * time.Millisecond, OnFailure: func(_ *http.Request, err error) { told <- err }})
	f.origin.Handle("/a.ts", faultorigin.Script{Body: []byte("abcdef"), StallAt: 3})
	_, _, err := f.do(t, http.MethodGet, "/a.ts")
	require.Error(t, err)
	require.Equal(t, http.StatusGatewayTimeout, f.proxy.Status(<-told))
}

func TestAPanicInAHookCostsOneAnswer(t *testing.T) {
	for name, p := range map[string]*origin.Proxy{
		"upstream": {Upstream: func(*url.URL) (string, error) { panic("secret") }},
		"modify": {
			Upstream: func(*url.URL) (string, error) { return "http://a.example/", nil },
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
			}),
			ModifyResponse: func(*http.Response) error { panic("secret") },
		},
		"no upstream at all": {},
		"client":             {MaxRequests: 1, MaxPerClient: 1, Client: func(*http.Request) string { panic("secret") }},
	} {
		for range 2 { // and it holds nothing that the next one needs
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
			require.Equal(t, 500, w.Code, name)
			require.NotContains(t, w.Body.String(), "secret")
		}
	}
	p := &origin.Proxy{Upstream: func(*url.URL) (string, error) { panic(http.ErrAbortHandler) }}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
	})
}

// closing is a body that records its Close.
type closing struct {
	io.Reader
	closed bool
}

func (b *closing) Close() error { b.closed = true; return nil }

func TestAHookThatBreaksTheConnectionLeavesNoBodyOpen(t *testing.T) {
	body := &closing{Reader: strings.NewReader("abc")}
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/", nil },
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
		}),
		ModifyResponse: func(*http.Response) error { panic(http.ErrAbortHandler) },
	}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
	})
	require.True(t, body.closed)
}
