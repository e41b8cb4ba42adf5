package origin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// counted is a server that knows whether it was contacted.
type counted struct {
	*httptest.Server
	conns, requests atomic.Int64
}

func newCounted(t *testing.T, address string, h http.HandlerFunc) *counted {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no %s here: %v", address, err)
	}
	c := &counted{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		h(w, r)
	}))
	c.Listener.Close()
	c.Listener = ln
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.conns.Add(1)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func (c *counted) port() uint16 { return uint16(c.Listener.Addr().(*net.TCPAddr).Port) }

func (c *counted) url(host string) string { return fmt.Sprintf("http://%s:%d/", host, c.port()) }

func guardOf(t testing.TB, c origin.GuardConfig) *origin.Guard {
	t.Helper()
	g, err := origin.NewGuard(c)
	require.NoError(t, err)
	return g
}

func transportOf(t testing.TB, c origin.GuardConfig) *http.Transport {
	t.Helper()
	tr := guardOf(t, c).Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func fetch(t *testing.T, rt http.RoundTripper, raw string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw, nil)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestTransportReachesWhatIsAllowed(t *testing.T) {
	s := newCounted(t, "127.0.0.1:0", hello)
	status, err := fetch(t, transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}), s.url("127.0.0.1"))
	require.NoError(t, err)
	require.Equal(t, 200, status)
	status, err = fetch(t, transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}), s.url("localhost"))
	require.NoError(t, err)
	require.Equal(t, 200, status)
}

// The transport alone enforces every rule, because redirects do not pass Check.
func TestTransportChecksNamesAndPorts(t *testing.T) {
	s := newCounted(t, "127.0.0.1:0", hello)
	_, resolver := newNameServer(t, map[string][][]string{"a.example": {{"127.0.0.1"}}, "x.internal": {{"127.0.0.1"}}})
	for name, row := range map[string]struct {
		guard origin.GuardConfig
		url   string
	}{
		"nothing allowed":  {origin.GuardConfig{}, s.url("127.0.0.1")},
		"another port":     {origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Ports: []string{"80"}}, s.url("127.0.0.1")},
		"not listed":       {origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Hosts: []string{"b.example"}}, s.url("a.example")},
		"local name":       {origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}, s.url("x.internal")},
		"short":            {origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}, s.url("127.1")},
		"decimal":          {origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}, s.url("2130706433")},
		"wide digits":      {origin.GuardConfig{}, s.url("１２７.０.０.１")},
		"own listener":     {origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Self: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), s.port())}}, s.url("a.example")},
		"denied":           {origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Deny: prefixes("127.0.0.1/32")}, s.url("a.example")},
		"resolves private": {origin.GuardConfig{Hosts: []string{"a.example"}, Ports: []string{fmt.Sprint(s.port())}}, s.url("a.example")},
	} {
		t.Run(name, func(t *testing.T) {
			row.guard.Resolver = resolver
			_, err := fetch(t, transportOf(t, row.guard), row.url)
			requireForbidden(t, err)
			require.NotContains(t, err.Error(), "127.0.0.1")
		})
	}
	require.Zero(t, s.conns.Load())
}

// A name resolves to an allowed address when it is checked and to another when it is dialled.
func TestRebindingDNS(t *testing.T) {
	good := newCounted(t, "127.0.0.2:0", hello)
	bad := newCounted(t, fmt.Sprintf("127.0.0.3:%d", good.port()), hello)
	names, resolver := newNameServer(t, map[string][][]string{"rebind.example": {{"127.0.0.2"}, {"127.0.0.3"}}})
	guard := guardOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.2/32"), Resolver: resolver})
	tr := guard.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	u, _ := url.Parse(good.url("rebind.example"))
	require.NoError(t, guard.Check(u))

	status, err := fetch(t, tr, u.String())
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Equal(t, 1, names.questions("rebind.example"), "resolved once, and that is what is dialled")

	_, err = fetch(t, tr, u.String())
	require.NoError(t, err, "the connection is used again, and still leads where it was admitted")
	require.EqualValues(t, 2, good.requests.Load())
	require.EqualValues(t, 1, good.conns.Load())

	tr.CloseIdleConnections()
	for range 3 {
		_, err = fetch(t, tr, u.String())
		requireForbidden(t, err)
	}
	require.Zero(t, bad.conns.Load())
}

// A name has several addresses, some of them internal: only allowed ones are dialled, whatever their order.
func TestMixedDNSAnswers(t *testing.T) {
	good := newCounted(t, "127.0.0.2:0", hello)
	bad := newCounted(t, fmt.Sprintf("127.0.0.3:%d", good.port()), hello)
	bad6 := newCounted(t, fmt.Sprintf("[::1]:%d", good.port()), hello)
	_, resolver := newNameServer(t, map[string][][]string{
		"first.example":  {{"127.0.0.3", "::1", "127.0.0.2"}},
		"last.example":   {{"127.0.0.2", "127.0.0.3", "::ffff:127.0.0.3"}},
		"six.example":    {{"::1", "::1", "127.0.0.2"}},
		"mapped.example": {{"::ffff:127.0.0.3", "64:ff9b::7f00:3", "2002:7f00:3::"}},
		"none.example":   {{"127.0.0.3", "10.0.0.1", "::1"}},
	})
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.2/32"), Resolver: resolver})
	for _, name := range []string{"first", "last", "six"} {
		status, err := fetch(t, tr, good.url(name+".example"))
		require.NoError(t, err, name)
		require.Equal(t, 200, status)
	}
	for _, name := range []string{"mapped", "none"} {
		_, err := fetch(t, tr, good.url(name+".example"))
		requireForbidden(t, err, name)
	}
	require.Zero(t, bad.conns.Load()+bad6.conns.Load())
}

func TestNamesThatDoNotResolve(t *testing.T) {
	_, resolver := newNameServer(t, nil)
	_, err := fetch(t, transportOf(t, origin.GuardConfig{Resolver: resolver}), "http://nothing.example/")
	require.Error(t, err)
	require.NotErrorIs(t, err, origin.ErrForbidden)
}

func TestTransportTakesNoProxyFromTheEnvironment(t *testing.T) {
	proxy := newCounted(t, "127.0.0.1:0", hello)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	tr := transportOf(t, origin.GuardConfig{})
	require.Nil(t, tr.Proxy)
	_, err := fetch(t, tr, "http://10.0.0.1/")
	requireForbidden(t, err)
	require.Zero(t, proxy.conns.Load())
}

func TestTransportLimits(t *testing.T) {
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	require.Positive(t, tr.ResponseHeaderTimeout)
	require.Positive(t, tr.TLSHandshakeTimeout)
	require.True(t, tr.DisableCompression)
	require.GreaterOrEqual(t, tr.MaxIdleConnsPerHost, 64)

	huge := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 2<<20))
	})
	_, err := fetch(t, tr, huge.URL)
	require.Error(t, err)
}

func TestTransportChecksTLSAndSpeaksHTTP2(t *testing.T) {
	s := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), true)
	g := origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}
	_, err := fetch(t, transportOf(t, g), s.URL)
	require.Error(t, err, "a certificate that nobody vouches for")
	require.NotErrorIs(t, err, origin.ErrForbidden)

	tr := transportOf(t, g)
	tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	r, _ := http.NewRequest(http.MethodGet, s.URL, nil)
	resp, err := tr.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 2, resp.ProtoMajor)
}

func TestDialEndsWithTheRequest(t *testing.T) {
	names, resolver := newNameServer(t, map[string][][]string{"slow.example": {{"8.8.8.8"}}})
	names.mu.Lock()
	names.delay = 300 * time.Millisecond
	names.mu.Unlock()
	tr := transportOf(t, origin.GuardConfig{Resolver: resolver})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://slow.example/", nil)
	_, err := tr.RoundTrip(r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
