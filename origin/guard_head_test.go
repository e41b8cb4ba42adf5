package origin_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// A server sends a body for HEAD and keeps the connection: the next answer there would begin with that body.
func TestABodyThatAnswersHead(t *testing.T) {
	const header, body = "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: 38\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	const odd = "HTTP/1.1 200 OK\r\nX-Line\r\nContent-Length: 38\r\n\r\n" // the guard tidies it
	const other = "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG"
	for name, row := range map[string]struct {
		header, body string
		pause        time.Duration
		late         bool // the body comes with the next request
	}{
		"at once":               {header: header, body: body},
		"at once, media":        {header: header, body: other},
		"behind an odd header":  {header: odd, body: body},
		"in a while":            {header: header, body: body, pause: 20 * time.Millisecond},
		"with the next request": {header: header, body: other, late: true},
		"as the next answer":    {header: header, body: body, late: true},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var conns atomic.Int64
			var wg sync.WaitGroup
			serve := func(c net.Conn) {
				defer c.Close()
				from := bufio.NewReader(c)
				owed := ""
				for {
					r, err := http.ReadRequest(from)
					if err != nil {
						return
					}
					switch {
					case r.Method == http.MethodGet:
						io.WriteString(c, owed+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
						owed = ""
					case row.late:
						io.WriteString(c, row.header)
						owed = row.body
					case row.pause > 0:
						io.WriteString(c, row.header)
						time.Sleep(row.pause)
						io.WriteString(c, row.body)
					default:
						io.WriteString(c, row.header+row.body)
					}
				}
			}
			wg.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					conns.Add(1)
					wg.Go(func() { serve(c) })
				}
			})
			t.Cleanup(func() { ln.Close(); wg.Wait() })
			tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
			ask := func(method string) (*http.Response, string) {
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+ln.Addr().String()+"/", nil)
				require.NoError(t, err)
				resp, err := tr.RoundTrip(r)
				require.NoError(t, err)
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				return resp, string(got)
			}
			for range 10 {
				resp, got := ask(http.MethodHead)
				require.EqualValues(t, 38, resp.ContentLength)
				require.Empty(t, got)
				if row.pause > 0 {
					time.Sleep(3 * row.pause) // net/http drops a connection on which bytes come unasked
				}
				_, got = ask(http.MethodGet)
				require.Equal(t, "ok", got)
				_, got = ask(http.MethodGet)
				require.Equal(t, "ok", got)
			}
			require.EqualValues(t, 11, conns.Load(), "one more behind each HEAD")
		})
	}
	t.Run("none", func(t *testing.T) {
		s := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
		tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
		for range 5 {
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				r, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
				require.NoError(t, err)
				resp, err := tr.RoundTrip(r)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				resp.Body.Close()
			}
		}
		require.EqualValues(t, 6, s.conns.Load(), "one more behind each HEAD")
	})
}
