package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

const alphabet = "abcdefghijklmnopqrstuvwxyz"

// breakAfter is a body that breaks.
type breakAfter struct {
	io.Reader
	err error
}

func (b *breakAfter) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *breakAfter) Close() error { return nil }

// partial answers like a server with the alphabet, and breaks whole answers off after some bytes. Each field changes the second
// answer.
// what the continuation says.
type partial struct {
	etag, again  string // of the two answers; "|": on two lines
	contentRange string // of the second, %d for its start; "": right
	status       int    // of the second; 0: 206
	encoding     string // of the second
	body         string // of the second; "": right
	cut          int
	err          error
	ranges       []string // the requested ranges
	header       []http.Header
}

func (s *partial) answer(r *http.Request) (*http.Response, error) {
	s.header = append(s.header, r.Header)
	asked := r.Header.Get("Range")
	s.ranges = append(s.ranges, asked)
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Etag": strings.Split(s.etag, "|")}, ContentLength: 26, Request: r}
	if len(s.ranges) == 1 {
		text := alphabet[:s.cut]
		if asked != "" {
			var from, to int
			fmt.Sscanf(asked, "bytes=%d-%d", &from, &to)
			resp.StatusCode, resp.ContentLength, text = 206, int64(to-from+1), alphabet[from:from+s.cut]
			resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/26", from, to))
		}
		resp.Body = &breakAfter{strings.NewReader(text), s.err}
		return resp, nil
	}
	var from, to int
	fmt.Sscanf(asked, "bytes=%d-%d", &from, &to)
	text := alphabet[from : to+1]
	resp.StatusCode, resp.ContentLength = 206, int64(len(text))
	resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/26", from, to))
	resp.Header["Etag"] = strings.Split(s.again, "|")
	if s.contentRange != "" {
		resp.Header.Set("Content-Range", s.contentRange)
	}
	if s.status != 0 {
		resp.StatusCode = s.status
	}
	if s.encoding != "" {
		resp.Header.Set("Content-Encoding", s.encoding)
	}
	if s.body != "" {
		text, resp.ContentLength = s.body, int64(len(s.body))
	}
	resp.Body = io.NopCloser(strings.NewReader(text))
	return resp, nil
}

func TestResume(t *testing.T) {
	reset := errors.New("reset")
	for name, row := range map[string]struct {
		server  partial
		asked   string // what the caller requests
		resumed bool
		tried   bool
	}{
		"right":                    {server: partial{etag: `"e"`, again: `"e"`, cut: 5, err: reset}, resumed: true, tried: true},
		"cut short":                {server: partial{etag: `"e"`, again: `"e"`, cut: 5, err: io.EOF}, resumed: true, tried: true},
		"before the first byte":    {server: partial{etag: `"e"`, again: `"e"`, cut: 0, err: reset}, resumed: true, tried: true},
		"at the last byte":         {server: partial{etag: `"e"`, again: `"e"`, cut: 25, err: reset}, resumed: true, tried: true},
		"a range":                  {server: partial{etag: `"e"`, again: `"e"`, cut: 5, err: reset}, asked: "bytes=3-20", resumed: true, tried: true},
		"weak ETag":                {server: partial{etag: `W/"e"`, again: `W/"e"`, cut: 5, err: reset}},
		"two ETags":                {server: partial{etag: `"e"|"f"`, again: `"e"|"f"`, cut: 5, err: reset}},
		"two ETags for the rest":   {server: partial{etag: `"e"`, again: `"e"|"f"`, cut: 5, err: reset}, tried: true},
		"no ETag":                  {server: partial{cut: 5, err: reset}},
		"another version":          {server: partial{etag: `"e"`, again: `"f"`, cut: 5, err: reset}, tried: true},
		"a whole answer":           {server: partial{etag: `"e"`, again: `"e"`, status: 200, cut: 5, err: reset}, tried: true},
		"other bytes":              {server: partial{etag: `"e"`, again: `"e"`, contentRange: "bytes 4-25/26", cut: 5, err: reset}, tried: true},
		"another length":           {server: partial{etag: `"e"`, again: `"e"`, contentRange: "bytes 5-25/27", cut: 5, err: reset}, tried: true},
		"unknown length":           {server: partial{etag: `"e"`, again: `"e"`, contentRange: "bytes 5-25/*", cut: 5, err: reset}, tried: true},
		"not all of the rest":      {server: partial{etag: `"e"`, again: `"e"`, contentRange: "bytes 5-24/26", cut: 5, err: reset}, tried: true},
		"compressed":               {server: partial{etag: `"e"`, again: `"e"`, encoding: "gzip", cut: 5, err: reset}, tried: true},
		"length that does not fit": {server: partial{etag: `"e"`, again: `"e"`, body: "x", cut: 5, err: reset}, tried: true},
		"refused":                  {server: partial{etag: `"e"`, again: `"e"`, status: 416, cut: 5, err: reset}, tried: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, on := range []bool{true, false} {
				n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: on})
				server := row.server
				n.set("a", server.answer)
				r, _ := http.NewRequest(http.MethodGet, "http://a/s/x.ts", nil)
				r.Header.Set("If-None-Match", `"old"`)
				want := alphabet
				if row.asked != "" {
					r.Header.Set("Range", row.asked)
					want = alphabet[3:21]
				}
				resp, err := p.RoundTrip(r)
				require.NoError(t, err)
				got, err := io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
				tries := 1
				if row.tried && on {
					tries = 2
				}
				require.Len(t, server.ranges, tries)
				if row.resumed && on {
					require.NoError(t, err)
					require.Equal(t, want, string(got))
					require.Equal(t, `"e"`, server.header[1].Get("If-Range"))
					require.Empty(t, server.header[1].Get("If-None-Match"))
				} else {
					if server.err != io.EOF || on { // without Resume the pool lets the transport count bytes
						require.Error(t, err)
					}
					require.Equal(t, want[:len(got)], string(got))
					require.LessOrEqual(t, len(got), server.cut)
				}
				require.Zero(t, p.State()[0].InFlight)
			}
		})
	}
}

func TestResumeIsTriedTwice(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: true})
	calls := 0
	n.set("a", func(r *http.Request) (*http.Response, error) {
		calls++
		h := http.Header{"Etag": {`"e"`}}
		resp := &http.Response{StatusCode: 200, Header: h, ContentLength: 26, Request: r, Body: &breakAfter{strings.NewReader("abc"), errRefused}}
		if calls > 1 {
			at := 3 * (calls - 1)
			resp.StatusCode, resp.ContentLength, resp.Body = 206, int64(26-at), &breakAfter{strings.NewReader(alphabet[at : at+3]), errRefused}
			h.Set("Content-Range", fmt.Sprintf("bytes %d-25/26", at))
		}
		return resp, nil
	})
	r, _ := http.NewRequest(http.MethodGet, "http://a/s/x.ts", nil)
	resp, err := p.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, errRefused)
	require.Equal(t, "abcdefghi", string(got))
	require.Equal(t, 3, calls)
}

// The header of an answer belongs to the caller, who may change it before the body breaks.
func TestResumeDoesNotReadTheCallersHeader(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: true})
	server := &partial{etag: `"e"`, again: `"e"`, cut: 5, err: errRefused}
	n.set("a", server.answer)
	r, _ := http.NewRequest(http.MethodGet, "http://a/s/x.ts", nil)
	resp, err := p.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	resp.Header.Set("Etag", `"mine"`)
	resp.Header.Set("Content-Encoding", "mine")
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, alphabet, string(got))
	require.Equal(t, `"e"`, server.header[1].Get("If-Range"))
}

func TestNoResumeForACallerWhoLeft(t *testing.T) {
	server := &partial{etag: `"e"`, again: `"e"`, cut: 5, err: errRefused}
	n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: true})
	n.set("a", server.answer)
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
	resp, err := p.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	cancel()
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err)
	require.Len(t, server.ranges, 1)
}

// Over real connections, from one origin to the other, the viewer gets every byte once.
func TestResumeBehindAProxy(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	h := http.Header{"Etag": {`"v1"`}}
	a, b := faultorigin.New(t), faultorigin.New(t)
	for _, o := range []*faultorigin.Origin{a, b} {
		o.Handle("/s/x.ts", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Etag"] = h["Etag"]
			if r.Header.Get("Range") != "" {
				http.ServeContent(w, r, "x.ts", time.Time{}, bytes.NewReader(body))
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:200_000])
			panic(http.ErrAbortHandler)
		})})
	}
	pool, err := origin.NewPool(origin.PoolConfig{
		Origins: []string{a.URL, b.URL}, Resume: true, Base: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")}),
	})
	require.NoError(t, err)
	f := newFront(t, &origin.Proxy{Transport: pool})
	f.proxy.Upstream = func(u *url.URL) (string, error) { return a.URL + u.RequestURI(), nil }
	resp, got, err := f.do(t, http.MethodGet, "/s/x.ts")
	require.NoError(t, err)
	require.EqualValues(t, len(body), resp.ContentLength)
	require.True(t, bytes.Equal(body, got))
	require.Equal(t, 1, a.Requests(""))
	require.Equal(t, 1, b.Requests(""))
}

// A body that stalls is given up while its reader still has patience, if the rest may be had elsewhere.
func TestAStalledBodyIsResumed(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Resume: true})
		stalling := func(r *http.Request) (*http.Response, error) {
			body := struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader("abc"), &trickle{r.Context(), time.Hour, 1, io.EOF}), io.NopCloser(nil)}
			return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"e"`}}, ContentLength: 26, Body: body, Request: r}, nil
		}
		n.set(first[0], stalling)
		good := &partial{etag: `"e"`, again: `"e"`, ranges: []string{""}}
		n.set(first[1], good.answer)
		begun := time.Now()
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, alphabet, body)
		require.Equal(t, 4*time.Second, time.Since(begun))

		n.set(first[1], says(200)) // not a part
		n.set(first[2], refuses)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.Error(t, err)
		require.Equal(t, "abc", string(got))
		resp.Body.Close()
	})
}

// The rest of a body comes without a length, and is longer than its Content-Range says. The caller never gets more than was
// promised, and the body does not end cleanly.
func TestARestThatIsTooLongBreaks(t *testing.T) {
	for _, size := range []int{1, 7, 64} {
		n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: true})
		first := &partial{etag: `"e"`, again: `"e"`, cut: 5, err: io.EOF}
		n.set("a", func(r *http.Request) (*http.Response, error) {
			resp, err := first.answer(r)
			if len(first.ranges) > 1 {
				resp.ContentLength, resp.Body = -1, io.NopCloser(strings.NewReader(alphabet[5:]+"and more"))
			}
			return resp, err
		})
		r, err := http.NewRequest(http.MethodGet, "http://a/s/x.ts", nil)
		require.NoError(t, err)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		var got []byte
		for buf := make([]byte, size); err == nil; {
			var n int
			n, err = resp.Body.Read(buf)
			got = append(got, buf[:n]...)
		}
		require.NoError(t, resp.Body.Close())
		require.NotErrorIs(t, err, io.EOF)
		require.Equal(t, alphabet, string(got))
		require.Len(t, first.ranges, 2)
	}
}
