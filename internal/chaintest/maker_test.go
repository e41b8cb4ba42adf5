package chaintest_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// private is an origin of two hosts that refuses requests without what the maker of a link was told.
type private struct {
	*httptest.Server
	edge *httptest.Server
	asks sync.Map // by path and Authorization: *atomic.Int64
	seen sync.Map // all fields that hosts must not get
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	p := &private{}
	serve := func(w http.ResponseWriter, r *http.Request) {
		count, _ := p.asks.LoadOrStore(r.URL.Path+" "+r.Header.Get("Authorization"), new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("Referer") != "https://site.example/" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		}
		switch r.URL.Path {
		case "/master.m3u8":
			fmt.Fprintf(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/v.m3u8\n")
		case "/v.m3u8":
			fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"/secret.bin\"\n#EXTINF:4,\n/1.ts\n#EXTINF:4,\n/moved.ts\n#EXTINF:4,\n%s/2.ts\n#EXT-X-ENDLIST\n", p.edge.URL)
		case "/moved.ts":
			http.Redirect(w, r, p.edge.URL+"/3.ts", http.StatusFound)
		default:
			fmt.Fprintf(w, "%s for %s", r.URL.Path, r.Header.Get("Authorization"))
		}
	}
	p.edge = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Cookie"} {
			if r.Header.Get(name) != "" {
				p.seen.Store(name, r.URL.Path)
			}
		}
		serve(w, r)
	}))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serve(w, r)
	}))
	t.Cleanup(p.Server.Close)
	t.Cleanup(p.edge.Close)
	return p
}

func sealedChain(t *testing.T) (*sign.Sealer, http.Handler) {
	t.Helper()
	keys := []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}
	sealer := must(sign.NewSealer(sign.Config{Keys: keys}, "/s/"))
	signer := must(sign.New(sign.Config{Keys: keys}))
	rw := &rewrite.Rewriter{Map: sealer, Sign: rewrite.SignChain(sealer, signer)}
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	proxy := &origin.Proxy{
		Upstream: sealer.Upstream, ModifyResponse: rw.ModifyResponse,
		Transport: &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(64 << 20)},
	}
	h := sealer.Handler(rangeserve.Handler(proxy))
	return sealer, h
}

// Two tenants have a hundred viewers each: every child plays, the origin is asked once for each tenant, nobody gets another's
// answer, and credentials reach no other host.
func TestViewersOfOneLinkShareAndTenantsDoNot(t *testing.T) {
	o := newPrivate(t)
	sealer, h := sealedChain(t)
	front := httptest.NewServer(h)
	defer front.Close()
	links := map[string]string{}
	for _, tenant := range []string{"alice", "bob"} {
		links[tenant] = must(sealer.URL(strings.Replace(o.URL, "://", "://"+tenant+":pw-of-"+tenant+"@", 1)+"/master.m3u8", sign.Upstream{
			Header: http.Header{"Referer": {"https://site.example/"}, "Cookie": {"secret-of=" + tenant}},
		}))
	}
	var all sync.WaitGroup
	for i := range 200 {
		tenant := []string{"alice", "bob"}[i%2]
		all.Go(func() {
			bodies := walk(t, front.URL, links[tenant])
			if len(bodies) != 6 {
				t.Errorf("%s got %d answers", tenant, len(bodies))
			}
			for path, body := range bodies {
				for _, secret := range []string{"pw-of-", "secret-of", "site.example", o.Listener.Addr().String(), o.edge.Listener.Addr().String()} {
					if strings.Contains(path+body, secret) {
						t.Errorf("%s shows %s: %s", path, secret, body)
					}
				}
				other := map[string]string{"alice": basicOf("bob"), "bob": basicOf("alice")}[tenant]
				if strings.Contains(body, other) {
					t.Errorf("%s got another's %s", tenant, path)
				}
			}
		})
	}
	all.Wait()
	o.asks.Range(func(path, count any) bool {
		most := int64(1)
		if strings.Contains(path.(string), ".m3u8") || strings.Contains(path.(string), ".bin") { // playlists are stored for a while, and keys are not shared
			return true
		}
		require.LessOrEqual(t, count.(*atomic.Int64).Load(), most, path)
		return true
	})
	o.seen.Range(func(name, path any) bool { t.Errorf("%s went to the other host with %s", name, path); return true })
}

func basicOf(tenant string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(tenant, "pw-of-"+tenant)
	return r.Header.Get("Authorization")
}

// walk fetches a playlist and everything it names, and returns the bodies.
func walk(t *testing.T, base, entry string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var fetch func(path string)
	fetch = func(path string) {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v", path, resp.StatusCode, err)
			return
		}
		for name, values := range resp.Header {
			out[path] += name + strings.Join(values, ",")
		}
		out[path] += string(body)
		for line := range strings.Lines(string(body)) {
			line = strings.TrimSpace(line)
			if i := strings.Index(line, `URI="`); i >= 0 {
				line = strings.TrimSuffix(line[i+len(`URI="`):], `"`)
			}
			if strings.HasPrefix(line, "/") && strings.HasPrefix(string(body), "#EXTM3U") {
				fetch(line)
			}
		}
	}
	fetch(entry)
	return out
}

// A session that the origin opens by a cookie on the way to the playlist reaches everything below it, without state in the
// process.
func TestAnOriginsSessionReachesTheChildren(t *testing.T) {
	var sessions atomic.Int64
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.HasSuffix(r.URL.Path, "/enter.m3u8") {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: fmt.Sprint("session", sessions.Add(1)), Path: "/", HttpOnly: true})
			if r.URL.Path == "/enter.m3u8" {
				http.Redirect(w, r, "/live/v.m3u8", http.StatusFound)
			} else {
				_, _ = io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST\n")
			}
			return
		}
		if c, err := r.Cookie("sid"); err != nil || !strings.HasPrefix(c.Value, "session") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			_, _ = io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST\n")
			return
		}
		_, _ = io.WriteString(w, "media")
	}))
	defer o.Close()
	sealer, h := sealedChain(t)
	front := httptest.NewServer(h)
	defer front.Close()
	for _, entry := range []string{"/enter.m3u8", "/live/enter.m3u8"} {
		link := must(sealer.URL(o.URL+entry, sign.Upstream{Cookies: true}))
		for range 3 {
			bodies := walk(t, front.URL, link)
			require.GreaterOrEqual(t, len(bodies), 2)
			for path, body := range bodies {
				require.NotContains(t, path+body, "session")
				require.NotContains(t, body, "Set-Cookie")
			}
		}
	}
}

// A cache knows the names in a playlist by the URLs of the requests, with inherited parameters. A piece that neither its type
// nor its name shows to be a segment is kept as one, and the viewers of one link share it.
func TestASegmentWithAnInheritedParameterIsRecognised(t *testing.T) {
	var asked atomic.Int64
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("token") == "":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/live.m3u8":
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:60,\npiece?n=1\n")
		default:
			asked.Add(1)
			w.Header().Set("Content-Type", "application/octet-stream")
			io.WriteString(w, "media, too long for a key, of "+r.URL.RawQuery)
		}
	}))
	defer o.Close()
	sealer, h := sealedChain(t)
	front := httptest.NewServer(h)
	defer front.Close()
	for i, token := range []string{"alice", "bob"} {
		link := must(sealer.URL(o.URL+"/live.m3u8?token="+token, sign.Upstream{Inherit: []string{"token"}}))
		for range 3 {
			bodies := walk(t, front.URL, link)
			require.Len(t, bodies, 2)
			require.Contains(t, strings.Join(slices.Collect(maps.Values(bodies)), "\n"), "of n=1&token="+token)
		}
		require.EqualValues(t, i+1, asked.Load())
	}
}
