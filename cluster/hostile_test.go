package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
	hlsorigin "github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// peer makes proofs as a node does. There is only one, because a node remembers a bounded number of peers.
var peer = proof.New(secret)

// recorder keeps the last status, because a node may send a 102 first.
type recorder struct{ *httptest.ResponseRecorder }

func (r recorder) WriteHeader(status int) {
	if status >= 200 {
		r.ResponseRecorder.WriteHeader(status)
	}
}

// askAsPeer sends a request as a node does.
func askAsPeer(h http.Handler, method, target string, header http.Header) recorder {
	rec := recorder{httptest.NewRecorder()}
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if header == nil {
		header = http.Header{}
	}
	peer.Sign(method, target, header, rec.Header().Get(proof.Node))
	r := httptest.NewRequest(method, target, nil)
	r.Header = header
	rec = recorder{httptest.NewRecorder()}
	h.ServeHTTP(rec, r)
	return rec
}

func fetchTarget(of string) string { return "/hlsproxy/fetch?url=" + url.QueryEscape(of) }

// Anyone with the secret may request anything, but the guard of the asked node decides where that leads.
func TestTheGuardOfTheNodeThatDialsDecides(t *testing.T) {
	addr, dials := hangsUp(t)
	guard, err := hlsorigin.NewGuard(hlsorigin.GuardConfig{Hosts: []string{"origin.example"}})
	require.NoError(t, err)
	n := start(t, 1, static, func(_ int, c *cluster.Config) { c.Base = guard.Transport() })[0]
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	for _, of := range []string{
		"http://127.0.0.1:" + port + "/a.ts", "http://localhost:" + port + "/", "http://[::1]:" + port + "/", "http://u:p@127.0.0.1:" + port + "/",
		"http://169.254.169.254/latest/", "http://origin.example:" + port + "/", "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/",
		"", "/", "//", "x", "http://", "http:opaque", "http://%zz/", "\x00",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, header := range []http.Header{nil, {"Hlsproxy-Host": {"127.0.0.1:" + port}}, {"Hlsproxy-Slice": {"0-2097152/9999999"}, "Hlsproxy-Whole-Etag": {`"1"`}}} {
				rec := askAsPeer(n.Handler(), method, fetchTarget(of), header.Clone())
				if rec.Code == http.StatusOK {
					require.Equal(t, "1", rec.Header().Get("Hlsproxy-Error"), of)
				} else {
					require.Equal(t, http.StatusBadRequest, rec.Code, of)
				}
				require.NotContains(t, rec.Body.String(), port)
			}
		}
	}
	require.Zero(t, dials.Load())
}

// Nothing that a viewer sends or an origin answers may make a node look broken.
func TestOthersCannotHaveANodeTakenForABrokenOne(t *testing.T) {
	o := origin(t, file(noise(1000, 70), `"1"`))
	d := &always{}
	var status atomic.Int64
	nodes := start(t, 2, func(_ int, urls []string) cluster.Directory {
		d.holder = func() string { return urls[0] }
		return d
	}, func(_ int, c *cluster.Config) {
		c.Transport = nil
		c.Base = trip(func(r *http.Request) (*http.Response, error) {
			if !strings.Contains(r.URL.Path, "odd") {
				return http.DefaultTransport.RoundTrip(r)
			}
			h := http.Header{"Content-Type": {"video/mp2t"}}
			if strings.Contains(r.URL.Path, "long") {
				h.Set("X-Long", strings.Repeat("x", 2<<20))
			}
			return &http.Response{
				StatusCode: int(status.Load()), Header: h, Body: io.NopCloser(strings.NewReader("x")), ContentLength: 1, Request: r,
				Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			}, nil
		})
	})
	works := func() {
		t.Helper()
		before := nodes[1].Stats().FromNodes
		fetch(t, nodes[1], fmt.Sprintf("%s/%d.ts", o.URL, time.Now().UnixNano()))
		require.Equal(t, before+1, nodes[1].Stats().FromNodes, "the other node is asked still")
	}
	works()
	// After another escape it is longer than a server accepts.
	_, got := fetch(t, nodes[1], o.URL+"/"+strings.Repeat("%2f", 250<<10)+".ts")
	require.Len(t, got, 1000)
	require.EqualValues(t, 1, nodes[1].Stats().Alone)
	works()
	for i, code := range []int64{0, 1, 99, 100, 101, 199, 200, 304, 416, 599, 999, 1000} {
		for _, kind := range []string{"odd", "odd-long"} {
			status.Store(code)
			resp, _, err := do(nodes[1], request(t, fmt.Sprintf("%s/%s%d.ts", o.URL, kind, i)))
			require.True(t, err != nil || resp.StatusCode == int(code), "%v", err)
			works()
		}
	}
	require.Zero(t, nodes[1].Stats().Takeovers)
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Something else may listen at the address of a node that is gone. Its answers are no sign of life.
func TestSomethingElseAtTheAddressOfANodeIsNoNode(t *testing.T) {
	o := origin(t, file([]byte("right"), `"1"`))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hlsproxy/fetch" {
			<-r.Context().Done()
		}
	}))
	defer other.Close()
	d := &always{holder: func() string { return other.URL }}
	n := start(t, 1, func(int, []string) cluster.Directory { return d }, func(_ int, c *cluster.Config) {
		c.Silence, c.Patience, c.Cache.Idle = 200*time.Millisecond, -1, 3*time.Second
	})[0]
	_, got := fetch(t, n, o.URL+"/a.ts")
	require.Equal(t, "right", string(got))
}

// A sign of life may come when its request has just ended: nobody waits for the node any longer.
func TestNobodyWatchesANodeForARequestThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b = "http://a:1", "http://b:1"
		directory := &always{holder: func() string { return b }}
		other, err := cluster.New(cluster.Config{Self: b, Directory: directory, Secret: secret})
		require.NoError(t, err)
		var pings atomic.Int64
		talk := trip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/ping") {
				pings.Add(1)
			} else if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && pings.Load() > 0 {
				<-r.Context().Done()
				go func() {
					time.Sleep(time.Millisecond)
					_ = trace.Got1xxResponse(http.StatusProcessing, nil)
				}()
				return nil, r.Context().Err()
			}
			w := httptest.NewRecorder()
			r.RequestURI = r.URL.RequestURI()
			other.Handler().ServeHTTP(w, r)
			return w.Result(), nil
		})
		n, err := cluster.New(cluster.Config{Self: a, Directory: directory, Secret: secret, Transport: talk,
			Base: trip(func(*http.Request) (*http.Response, error) { return nil, context.Canceled })})
		require.NoError(t, err)
		pings.Store(1)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = n.RoundTrip(request(t, "http://origin/blocking.m3u8?_HLS_msn=1").WithContext(ctx))
		require.Error(t, err)
		time.Sleep(5 * time.Second)
		before := pings.Load()
		time.Sleep(time.Minute)
		require.Equal(t, before, pings.Load())
	})
}

// Most of these hooks run in goroutines of their own. A panic there would end the process.
func TestHooksThatPanic(t *testing.T) {
	o := origin(t, file([]byte("media"), `"1"`))
	rogue := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer rogue.Close()
	for name, change := range map[string]func(c *cluster.Config){
		"OnFailure": func(c *cluster.Config) { c.OnFailure = func(error) { panic("OnFailure") } },
		"Transport": func(c *cluster.Config) {
			c.Transport = trip(func(*http.Request) (*http.Response, error) { panic("Transport") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &always{holder: func() string { return rogue.URL }}
			n := start(t, 1, func(int, []string) cluster.Directory { return members{d, []string{rogue.URL}} },
				func(_ int, c *cluster.Config) { change(c) })[0]
			_, missed, err := n.Purge(t.Context(), o.URL+"/a.ts")
			require.NoError(t, err)
			require.Equal(t, []string{rogue.URL}, missed)
			_, got := fetch(t, n, o.URL+"/a.ts")
			require.Equal(t, "media", string(got))
		})
	}
}

// In a bubble it is the year 2000. The others refuse that node. It says why, and still serves its viewers.
func TestClocksThatDiffer(t *testing.T) {
	o := origin(t, file([]byte("media"), `"1"`))
	there := start(t, 1, static, nil)[0]
	fetch(t, there, o.URL+"/a.ts")
	synctest.Test(t, func(t *testing.T) {
		var said atomic.Value
		base := &http.Transport{DisableKeepAlives: true}
		n, err := cluster.New(cluster.Config{
			Self: "http://127.0.0.1:1", Directory: &always{holder: func() string { return there.url }}, Secret: secret,
			Base: base, Transport: base, Cache: &cache.Transport{Store: cache.NewMemory(1 << 20)},
			OnFailure: func(err error) { said.Store(err.Error()) },
		})
		require.NoError(t, err)
		_, got := fetch(t, n, o.URL+"/b.ts")
		require.Equal(t, "media", string(got))
		require.Contains(t, said.Load(), "do secrets or clocks differ?")
		require.Zero(t, n.Stats().FromNodes)
		require.NoError(t, n.Leave(t.Context()))
	})
	require.NotZero(t, there.Stats().Refused)
	require.Equal(t, 1, o.count("GET /b.ts"))
}

func TestAPurgeHasAShortName(t *testing.T) {
	n := start(t, 1, static, nil)[0]
	for length, want := range map[int]int{0: 400, 1: 200, 64: 200, 65: 400, 100_000: 400} {
		target := "/hlsproxy/purge?prefix=false&text=a&id=" + strings.Repeat("x", length)
		rec := askAsPeer(n.Handler(), http.MethodPost, target, nil)
		require.Equal(t, want, rec.Code, length)
	}
}

// FuzzPeer sends a node any request that a holder of the secret may send. The request need not make sense, but must be
// answered.
func FuzzPeer(f *testing.F) {
	n, err := cluster.New(cluster.Config{
		Self: "http://127.0.0.1:1", Directory: cluster.Rendezvous(cluster.Static("http://127.0.0.1:1")), Secret: secret,
		Cache: &cache.Transport{Store: cache.NewMemory(1 << 20)},
		Base: trip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}}, Body: http.NoBody, Request: r,
			}, nil
		}),
	})
	require.NoError(f, err)
	h := n.Handler()
	f.Add("http://o.example/a.ts", "", "", "", "")
	f.Add("http://o.example/a.mp4", "0-2097152/5000000", `"1"`, "30000", "o.example:81")
	f.Add("http://o.example/a.mp4", "2097152-1/-1", `W/"1"`, "-1", "")
	f.Add("//", "9223372036854775807-0/1", "\x00", "99999999999999999999", "id=1&text=&prefix=true")
	f.Fuzz(func(t *testing.T, of, slice, tag, wait, more string) {
		header := http.Header{}
		for name, v := range map[string]string{
			"Hlsproxy-Slice": slice, "Hlsproxy-Whole-Etag": tag, "Hlsproxy-Wait": wait, "Hlsproxy-Host": more, "Hlsproxy-Purged": more,
			"Range": more, "Hlsproxy-Eager": slice,
		} {
			if v != "" {
				header[name] = []string{v}
			}
		}
		rec := askAsPeer(h, http.MethodGet, fetchTarget(of), header)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, rec.Code)
		if rec.Code == http.StatusOK {
			require.NotEmpty(t, rec.Header().Get("Hlsproxy-Status"))
			require.NotEmpty(t, rec.Header().Get("Hlsproxy-Answer"))
		}
	})
}

// A password in a URL is for the origin. Nodes neither send it to each other nor accept it.
func TestUserInformationStaysOnTheNodeThatWasAsked(t *testing.T) {
	nodes := start(t, 3, static, func(_ int, c *cluster.Config) {
		c.Base = trip(func(r *http.Request) (*http.Response, error) {
			body := io.NopCloser(strings.NewReader("for " + r.URL.User.Username()))
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body, ContentLength: -1, Request: r}, nil
		})
	})
	for i := range 9 {
		for _, n := range nodes {
			_, got := fetch(t, n, fmt.Sprintf("http://me:secret@origin.example/%d.ts", i))
			require.Equal(t, "for me", string(got))
		}
	}
	for _, n := range nodes {
		s := n.Stats()
		require.Zero(t, s.FromNodes+s.ToNodes)
		rec := askAsPeer(n.Handler(), http.MethodGet, fetchTarget("http://me:secret@origin.example/a.ts"), nil)
		require.Equal(t, http.StatusBadRequest, rec.Code)
	}
}
