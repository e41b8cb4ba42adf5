package origin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// healthy counts the origins that are in service.
func healthy(p *origin.Pool) (n int) {
	for _, s := range p.State() {
		if s.Healthy {
			n++
		}
	}
	return n
}

// The answer of an origin to a blocking reload is about the stream: it is passed on, tried nowhere else, and no failure.
func TestABlockingReloadSaysNothingOfTheOrigin(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"503": says(503, "Retry-After", "30"), "400": says(400), "404": says(404), "500": says(500), "504": says(504), "silence": silent,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{})
				for _, h := range []string{"a", "b", "c"} {
					n.set(h, answer)
				}
				const reloads = 60
				for i := range reloads {
					status, _, err := ask(t, p, fmt.Sprintf("http://a/s%d/v.m3u8?_HLS_msn=999999", i%7))
					if name == "silence" {
						require.Error(t, err)
					} else {
						require.Equal(t, name, fmt.Sprint(status))
					}
				}
				require.Len(t, n.take(), reloads)
				require.Equal(t, 3, healthy(p))
				for _, s := range p.State() {
					require.Zero(t, s.Failures)
					require.Zero(t, s.InFlight)
				}
			})
		})
	}
	first := order(t, "/s/x.ts")
	n, p := newNetwork(t, origin.PoolConfig{})
	n.set(first[0], refuses)
	_, body, err := ask(t, p, "http://a/s/v.m3u8?_HLS_msn=3")
	require.NoError(t, err)
	require.Equal(t, first[1], body, "a connection that fails is one of the origin")
}

// One encoder of twenty stands still, on all origins. The other streams lose no origin.
func TestOneStalledStreamOfTwenty(t *testing.T) {
	for name, stalled := range map[string]func(*http.Request) (*http.Response, error){"503": says(503), "500 with Retry-After": says(500), "404": says(404), "silence": silent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{})
				for _, h := range []string{"a", "b", "c"} {
					n.set(h, func(r *http.Request) (*http.Response, error) {
						if strings.HasPrefix(r.URL.Path, "/s0/") {
							return stalled(r)
						}
						return says(200)(r)
					})
				}
				homes := map[int]string{}
				for round := range 40 {
					for i := range 20 {
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
						r, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://a/s%d/%d.ts", i, round), nil)
						resp, err := p.RoundTrip(r)
						if err == nil {
							body, _ := io.ReadAll(resp.Body)
							resp.Body.Close()
							if i > 0 {
								require.Equal(t, 200, resp.StatusCode)
								if homes[i] == "" {
									homes[i] = string(body)
								}
								require.Equal(t, homes[i], string(body), "stream %d lost its home", i)
							}
						} else {
							require.Zero(t, i)
						}
						cancel()
					}
					require.Equal(t, 3, healthy(p))
					time.Sleep(time.Second)
				}
				if name != "404" {
					require.Less(t, len(n.take()), 40*20+40+30, "no request is tried thrice for long")
				}
			})
		})
	}
}

// An origin that fails for one stream loses only that stream, and gets it back.
func TestAStreamMovesAlone(t *testing.T) {
	first, other := order(t, "/s/x.ts"), neighbours(t, "/s/x.ts", 1)[0]
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		well := false
		n.set(first[0], func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/s/") && !well {
				return says(502)(r)
			}
			return says(200)(r)
		})
		for range 3 {
			_, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, first[1], body)
			require.Len(t, n.take(), 2)
		}
		for range 5 {
			_, body, _ := ask(t, p, "http://a/s/x.ts")
			require.Equal(t, first[1], body)
			require.Equal(t, first[1:2], n.take())
			_, body, _ = ask(t, p, "http://a"+other+"/x.ts")
			require.Equal(t, first[0], body)
			n.take()
		}
		require.Equal(t, 3, healthy(p))
		well = true
		time.Sleep(6 * time.Second)
		_, body, _ := ask(t, p, "http://a/s/x.ts")
		require.Equal(t, first[0], body)
	})
}

// Several failing streams in a row do blame the origin.
func TestSeveralStreamsTakeAnOriginOut(t *testing.T) {
	first, others := order(t, "/s/x.ts"), neighbours(t, "/s/x.ts", 3)
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], says(500))
		for _, dir := range others {
			_, body, err := ask(t, p, "http://a"+dir+"/x.ts")
			require.NoError(t, err)
			require.NotEqual(t, first[0], body)
		}
		require.Equal(t, 2, healthy(p))
	})
}

// A client that invents streams takes no memory.
func TestTroublesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Failures: 1000000})
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, says(500))
		}
		for i := range 1500 {
			_, _, _ = ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
		}
		for _, s := range p.State() {
			require.LessOrEqual(t, s.Troubled, 1024)
			require.Positive(t, s.Troubled)
		}
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, says(200))
		}
		_, _, _ = ask(t, p, "http://a/1499/x.ts")
	})
}

// Origins that are listed by their addresses want another name in the request and in TLS.
func TestHostOfAPool(t *testing.T) {
	var asked []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := ""
		if r.TLS != nil {
			name = r.TLS.ServerName
		}
		asked = append(asked, r.Host+" "+name)
	})
	plain, secure := newCounted(t, "127.0.0.1:0", handler), serveTLS(t, handler, true)
	base := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), TLS: secure.Client().Transport.(*http.Transport).TLSClientConfig})
	for _, row := range []struct{ origin, host, want string }{
		{plain.URL, "", plain.Listener.Addr().String() + " "},
		{plain.URL, "stream.example", "stream.example "},
		{secure.URL, "", secure.Listener.Addr().String() + " "},
		{secure.URL, "example.com:8443", "example.com:8443 example.com"},
	} {
		pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{row.origin}, Host: row.host, Base: base})
		require.NoError(t, err)
		base.CloseIdleConnections()
		status, err := fetch(t, pool, row.origin+"/x.ts")
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, row.want, asked[len(asked)-1])
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{secure.URL}, Host: "other.test", Base: base})
	require.NoError(t, err)
	base.CloseIdleConnections()
	_, err = fetch(t, pool, secure.URL+"/x.ts")
	require.ErrorContains(t, err, "other.test", "the certificate is that of the name")
	for _, bad := range []string{"http://a.example", "a b", "a.example:x:y", "*.example", "10.0.0.1/"} {
		_, err := origin.NewPool(origin.PoolConfig{Origins: []string{plain.URL}, Host: bad})
		require.ErrorContains(t, err, "Host", bad)
	}
}

// An origin that says it is working on an answer is not given up.
func TestInformationalAnswersGivePatienceAnew(t *testing.T) {
	first := order(t, "/s/x.ts")
	for inform, from := range map[bool]string{true: first[0], false: first[1]} {
		synctest.Test(t, func(t *testing.T) {
			n, p := newNetwork(t, origin.PoolConfig{Patience: time.Second})
			n.set(first[0], func(r *http.Request) (*http.Response, error) {
				trace := httptrace.ContextClientTrace(r.Context())
				trace.GotConn(httptrace.GotConnInfo{})
				for range 12 {
					select {
					case <-time.After(900 * time.Millisecond):
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
					if inform {
						require.NoError(t, trace.Got1xxResponse(http.StatusProcessing, nil))
					}
				}
				return says(200)(r)
			})
			connected := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected++ }})
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
			require.NoError(t, err)
			resp, err := p.RoundTrip(r)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, from, string(body))
			require.Equal(t, 1, connected, "a trace of the caller's stays")
		})
	}
}
