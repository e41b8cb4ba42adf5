package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// stream is an origin of one stream.
func stream(t *testing.T) *faultorigin.Origin {
	o := faultorigin.New(t)
	o.Handle("/a/v.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}},
		Body: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n")})
	o.Handle("/a/1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}, "Cache-Control": {"max-age=60"}}, Body: make([]byte, 1000)})
	return o
}

func ask(t *testing.T, method, url string, lines ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// A scrape of the running program counts the requests to it.
func TestMetrics(t *testing.T) {
	o := stream(t)
	p := servetest.Start(t, run, "-origin", o.URL, "-allow", "127.0.0.0/8", "-inside", "127.0.0.1:0")
	metrics := p.Said(t, "metrics at ", 1)[0]
	for _, path := range []string{"/live/a/v.m3u8", "/live/a/1.ts", "/live/a/1.ts", "/live/a/1.ts"} {
		status, _ := ask(t, "GET", p.URL+path)
		require.Equal(t, 200, status, path)
	}
	text := ""
	require.Eventually(t, func() bool {
		_, text = ask(t, "GET", metrics)
		for _, line := range []string{
			`hlsproxy_cache_requests_total{result="hit"} 2`, `hlsproxy_audience_viewers{stream="/live/a/"} 1`, `hlsproxy_audience_streams 1`,
			`hlsproxy_origin_up{origin="` + o.URL + `/"} 1`, `hlsproxy_origin_errors_total{origin="` + o.URL + `/"} 0`,
			`hlsproxy_viewer_bytes_total{kind="segment",status="2xx"} 3000`, `hlsproxy_viewer_requests_total{kind="playlist",status="2xx"} 1`,
			`hlsproxy_first_byte_seconds_count{cache="hit",kind="segment"} 2`,
		} {
			if !strings.Contains(text, line+"\n") {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond, "%v", &text)
	status, _ := ask(t, "GET", p.URL+"/metrics")
	require.Equal(t, 404, status, "viewers must not see the numbers")
}

// Clients on the inside address can see the sessions and end one.
func TestKick(t *testing.T) {
	p := servetest.Start(t, run, "-origin", stream(t).URL, "-allow", "127.0.0.0/8", "-inside", "127.0.0.1:0")
	inside := strings.TrimSuffix(p.Said(t, "metrics at ", 1)[0], "/metrics")
	status, _ := ask(t, "GET", p.URL+"/live/a/v.m3u8")
	require.Equal(t, 200, status)
	_, text := ask(t, "GET", inside+"/sessions")
	var sessions []audience.Session
	require.NoError(t, json.Unmarshal([]byte(text), &sessions))
	require.Len(t, sessions, 1)
	status, _ = ask(t, "POST", inside+"/kick?session="+sessions[0].ID)
	require.Equal(t, 200, status)
	status, _ = ask(t, "GET", p.URL+"/live/a/v.m3u8")
	require.Equal(t, 403, status)
}

// No request of a viewer or of another page to the operator's address ends a session.
func TestKickIsForThoseInside(t *testing.T) {
	p := servetest.Start(t, run, "-origin", stream(t).URL, "-allow", "127.0.0.0/8", "-inside", "127.0.0.1:0")
	inside := strings.TrimSuffix(p.Said(t, "metrics at ", 1)[0], "/metrics")
	for name, c := range map[string]struct {
		method, url string
		lines       []string
		status      int
	}{
		"an unknown session": {"POST", inside + "/kick?session=x", nil, 404},
		"another page":       {"POST", inside + "/kick?session=x", []string{"Origin: https://evil.example"}, 403},
		"a link":             {"GET", inside + "/kick?session=x", nil, 405},
		"a viewer":           {"POST", p.URL + "/kick?session=x", nil, 404},
	} {
		status, _ := ask(t, c.method, c.url, c.lines...)
		require.Equal(t, c.status, status, name)
	}
}

// The trace of a miss goes from the viewer through the cache to the origin. The trace of a hit ends at the cache.
func TestATraceHasViewerCacheAndOrigin(t *testing.T) {
	at := stream(t)
	one, err := serve.ParseOrigin(at.URL)
	require.NoError(t, err)
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(redacted{sdk.NewSimpleSpanProcessor(spans)}))
	live, _, err := newHandlers(options{origins: serve.Origins{one}, allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, cache: 1 << 20}, netip.MustParseAddrPort("127.0.0.1:1"), provider)
	require.NoError(t, err)
	s := httptest.NewServer(live)
	defer s.Close()

	status, _ := ask(t, "GET", s.URL+"/live/a/1.ts?token=SECRET", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	require.Equal(t, 200, status)
	names := func() map[string]tracetest.SpanStub {
		all := map[string]tracetest.SpanStub{}
		for _, span := range spans.GetSpans() {
			all[span.Name] = span
		}
		return all
	}
	require.Eventually(t, func() bool { return len(names()) == 3 }, time.Minute, time.Millisecond)
	all := names()
	viewer, asked, origin := all["viewer"], all["cache"], all["origin"]
	require.False(t, viewer.Parent.IsValid(), "the viewer's word for its trace counts")
	require.Equal(t, viewer.SpanContext.SpanID(), asked.Parent.SpanID())
	require.Equal(t, asked.SpanContext.SpanID(), origin.Parent.SpanID())
	require.Equal(t, viewer.SpanContext.TraceID(), origin.SpanContext.TraceID())
	for _, span := range all {
		for _, a := range span.Attributes {
			require.NotContains(t, a.Value.String(), "SECRET", a.Key)
		}
	}
	for _, r := range at.Log() {
		require.Empty(t, r.Header["Traceparent"])
	}

	spans.Reset()
	status, _ = ask(t, "GET", s.URL+"/live/a/1.ts?token=SECRET")
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool { return len(names()) == 2 }, time.Minute, time.Millisecond)
	require.Contains(t, names()["cache"].Attributes[0].Value.String(), "hit")
	require.NoError(t, provider.Shutdown(context.Background()))
}
