package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// From outside, it would take minutes of real time.
func TestASlowServerIsAskedTwiceOnceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		serve := func(c net.Conn) {
			defer c.Close()
			from := bufio.NewReader(c)
			for {
				r, err := http.ReadRequest(from)
				if err != nil {
					return
				}
				asked.Add(1)
				d, _ := time.ParseDuration(r.URL.Query().Get("d"))
				time.Sleep(d)
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
					return
				}
			}
		}
		g := &Guard{}
		tr := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			near, far := net.Pipe()
			go serve(far)
			return g.watch(near, address, false), nil
		}}
		ask := func(method string, d time.Duration) (requests int64, err error) {
			before := asked.Load()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, method, "http://o.example/?d="+d.String(), nil)
			require.NoError(t, err)
			resp, err := tr.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
			}
			return asked.Load() - before, err
		}
		const rest = 6 * time.Second
		forget := func() {
			tr.CloseIdleConnections()
			g = &Guard{}
		}
		for name, row := range map[string]struct {
			method  string
			answers []time.Duration
		}{
			"fast, then less than 5 s":         {http.MethodGet, []time.Duration{0, 4900 * time.Millisecond}},
			"slow, then not twice as slow":     {http.MethodGet, []time.Duration{3 * time.Second, 5900 * time.Millisecond, 9 * time.Second}},
			"slow from the first":              {http.MethodGet, []time.Duration{7 * time.Second, 7 * time.Second, 7 * time.Second}},
			"a method that may not be doubled": {http.MethodPost, []time.Duration{0, 7 * time.Second}},
		} {
			forget()
			for _, d := range row.answers {
				n, err := ask(row.method, d)
				require.NoError(t, err, name)
				require.EqualValues(t, 1, n, name)
				time.Sleep(rest)
			}
		}

		forget()
		slowAfterRest := func(method string) (int64, error) {
			_, err := ask(http.MethodGet, 0)
			require.NoError(t, err)
			time.Sleep(rest)
			return ask(method, 7*time.Second)
		}
		n, err := slowAfterRest(http.MethodGet)
		require.Error(t, err)
		require.EqualValues(t, 2, n, "nobody can tell a silent connection from a slow server, for once")
		for range 20 {
			n, err = slowAfterRest(http.MethodGet)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		}
		tr.CloseIdleConnections()
		time.Sleep(10 * time.Minute)
		n, err = slowAfterRest(http.MethodHead)
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "it is remembered when there is no connection left")
		tr.CloseIdleConnections()
		synctest.Wait()
	})
}
