package origin_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestABrokenBodyNeverEndsCleanly(t *testing.T) {
	f := newFront(t, &origin.Proxy{Idle: 200 * time.Millisecond})
	body := bytes.Repeat([]byte("0123456789"), 20_000)
	h := http.Header{"Content-Type": {"video/mp2t"}}
	raw := func(head string) faultorigin.Script { return faultorigin.Script{Raw: []byte(head)} }
	for name, script := range map[string]faultorigin.Script{
		"reset":                      {Header: h, Body: body, CutAt: 100_000},
		"reset, chunked":             {Header: h, Body: body, CutAt: 100_000, Chunked: true},
		"stalls":                     {Header: h, Body: body, StallAt: 100_000},
		"stalls, chunked":            {Header: h, Body: body, StallAt: 100_000, Chunked: true},
		"shorter than it said":       raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"),
		"last chunk missing":         raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
		"chunk cut":                  raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
		"chunk size is no number":    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"),
		"206 shorter than its range": raw("HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/100\r\n\r\nabc"),
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle("/a.ts", script)
			header := []string{}
			if strings.HasPrefix(name, "206") {
				header = []string{"Range", "bytes=0-9"}
			}
			resp, got, err := f.do(t, http.MethodGet, "/a.ts", header...)
			if err == nil { // the whole test may pause for longer than the origin
				require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode, "%d bytes came to a clean end", len(got))
			}
			require.NotContains(t, string(got), "unexpected")
			require.NotContains(t, string(got), "127.0.0.1")
		})
	}
}

func TestFramingFaultsAtTheHeader(t *testing.T) {
	patient, hasty := newFront(t, &origin.Proxy{}), newFront(t, &origin.Proxy{Wait: 100 * time.Millisecond})
	for name, row := range map[string]struct {
		script faultorigin.Script
		status int
		body   string
	}{
		"closed before the header":    {faultorigin.Script{Refuse: true}, 502, ""},
		"half a header":               {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Le")}, 502, ""},
		"no HTTP":                     {faultorigin.Script{Raw: []byte("SSH-2.0-OpenSSH_9\r\n")}, 502, ""},
		"two lengths":                 {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")}, 502, ""},
		"length and chunked":          {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")}, 502, ""},
		"chunked and length":          {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\ntransfer-encoding : chunked\r\nX\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n")}, 502, ""},
		"length and identity":         {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc")}, 200, "abc"},
		"more bytes than it said":     {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")}, 200, "abc"},
		"until the connection closes": {faultorigin.Script{Raw: []byte("HTTP/1.0 200 OK\r\n\r\nabc")}, 200, "abc"},
		"negative length":             {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc")}, 200, "abc"},
		"negative length and chunked": {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: -1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")}, 502, ""},
		"a length and more":           {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3;\r\n\r\nabc")}, 200, "abc"},
		"never answers":               {faultorigin.Script{Hang: true}, 504, ""},
		"switches protocols":          {faultorigin.Script{Raw: []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")}, 502, ""},
		"endless header": {faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(conn, "X-A: "+strings.Repeat("b", 1000)+"\r\n"); err != nil {
					return
				}
			}
		})}, 502, ""},
		"endless informational answers": {faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for {
				if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("b", 1000)+"\r\n\r\n"); err != nil {
					return
				}
			}
		})}, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := patient
			if row.status == http.StatusGatewayTimeout {
				f = hasty
			}
			f.origin.Handle("/a.ts", row.script)
			resp, body := f.get(t, "/a.ts")
			require.Equal(t, row.status, resp.StatusCode)
			if row.status == 200 {
				require.Equal(t, row.body, body)
			} else {
				require.Equal(t, http.StatusText(row.status)+"\n", body)
			}
		})
	}
}

// No body with two possible ends is passed on.
func TestHEADOfALengthAndChunks(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n")})
	resp, _, err := f.do(t, http.MethodHead, "/a.ts")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestUnreachable(t *testing.T) {
	addr, err := freeport.Addr()
	require.NoError(t, err)
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return "http://" + addr, nil },
		Transport: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")}),
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
	require.Equal(t, 502, w.Code)
	require.NotContains(t, w.Body.String(), "127.0.0.1")
}

// For a client of HTTP/1.0, which nginx is by default, a stream ends with its connection.
func TestABrokenBodyDoesNotEndCleanlyOverHTTP10(t *testing.T) {
	patient, hasty := newFront(t, &origin.Proxy{}), newFront(t, &origin.Proxy{Idle: 200 * time.Millisecond})
	for name, row := range map[string]struct {
		script faultorigin.Script
		broken bool
	}{
		"whole":              {faultorigin.Script{Body: []byte("0123456789"), Chunked: true}, false},
		"reset":              {faultorigin.Script{Body: []byte("0123456789"), Chunked: true, CutAt: 5}, true},
		"stalls":             {faultorigin.Script{Body: []byte("0123456789"), Chunked: true, StallAt: 5}, true},
		"last chunk missing": {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := patient
			if row.broken {
				f = hasty
			}
			f.origin.Handle("/a.ts", row.script)
			conn, err := net.Dial("tcp", f.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "GET /a.ts HTTP/1.0\r\n\r\n")
			require.NoError(t, err)
			answer, err := io.ReadAll(conn)
			if row.broken {
				require.Error(t, err, "%s", answer)
			} else {
				require.NoError(t, err)
				require.True(t, strings.HasSuffix(string(answer), "\r\n\r\n0123456789"))
			}
		})
	}
}
