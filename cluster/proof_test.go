package cluster_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

// wiretap passes connections on and keeps what requests say.
type wiretap struct {
	net.Listener
	mu       sync.Mutex
	requests [][]byte
}

func tap(t *testing.T, to string) *wiretap {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wiretap{Listener: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go func() { io.Copy(in, out); in.Close() }()
			go func() {
				defer out.Close()
				for r := bufio.NewReader(in); ; {
					q, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					var raw bytes.Buffer
					q.Header.Set("Host", q.Host)
					fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\n", q.Method, q.RequestURI)
					q.Header.Write(&raw)
					raw.WriteString("\r\n")
					w.mu.Lock()
					w.requests = append(w.requests, raw.Bytes())
					w.mu.Unlock()
					out.Write(raw.Bytes())
				}
			}()
		}
	}()
	return w
}

func send(t *testing.T, to string, raw []byte) int {
	c, err := net.Dial("tcp", to)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(raw)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	return resp.StatusCode // without its body: a HEAD has none
}

func TestOverheardRequestsAreOfNoUse(t *testing.T) {
	o := origin(t, file(noise(1000, 20), `"1"`))
	var w *wiretap
	d := &always{}
	nodes := start(t, 3, func(_ int, urls []string) cluster.Directory {
		if w == nil {
			w = tap(t, urls[0][len("http://"):])
			d.holder = func() string { return "http://" + w.Addr().String() }
		}
		return d
	}, nil)
	fetch(t, nodes[1], o.URL+"/a.ts")
	_, _, err := nodes[1].Purge(t.Context(), o.URL+"/a.ts")
	require.NoError(t, err)
	w.mu.Lock()
	heard := w.requests
	w.mu.Unlock()
	require.NotEmpty(t, heard)
	before := o.total()
	first, second := nodes[0].url[len("http://"):], nodes[2].url[len("http://"):]
	for _, raw := range heard {
		require.Equal(t, http.StatusForbidden, send(t, first, raw), "again")
		require.Equal(t, http.StatusForbidden, send(t, second, raw), "at another node")
		text := string(raw)
		for _, change := range [][2]string{
			{"GET ", "HEAD "}, {"a.ts", "b.ts"}, {"Hlsproxy-Signed: ", "Hlsproxy-Signed: Range,"}, {"Hlsproxy-Proof: 1", "Hlsproxy-Proof: 2"},
		} {
			if changed := strings.Replace(text, change[0], change[1], 1); changed != text {
				require.Equal(t, http.StatusForbidden, send(t, first, []byte(changed)), change)
			}
		}
	}
	require.Equal(t, before, o.total())
}

func TestWithoutAProofNothingIsDone(t *testing.T) {
	o := origin(t, file(noise(1000, 21), `"1"`))
	n := start(t, 1, static, nil)[0]
	fetch(t, n, o.URL+"/a.ts")
	before := o.total()
	for _, target := range []string{
		"/hlsproxy/fetch?url=" + url.QueryEscape(o.URL+"/b.ts"), "/hlsproxy/fetch?url=http://169.254.169.254/",
		"/hlsproxy/purge?id=1&prefix=true&text=", "/hlsproxy/ping", "/", "/stats",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
			for _, proof := range []string{"", "1 aaaaaaaaaaaaaaaa 1 x", "x", strings.Repeat("1", 9000)} {
				r := httptest.NewRequest(method, target, nil)
				if proof != "" {
					r.Header.Set("Hlsproxy-Proof", proof)
					r.Header.Set("Hlsproxy-Signed", "")
				}
				rec := httptest.NewRecorder()
				n.Handler().ServeHTTP(rec, r)
				require.Equal(t, http.StatusForbidden, rec.Code, "%s %s", method, target)
			}
		}
	}
	require.Equal(t, before, o.total())
	_, got := fetch(t, n, o.URL+"/a.ts")
	require.Len(t, got, 1000)
	require.Equal(t, before, o.total(), "nothing was purged")
}

func TestNodesWithOtherSecretsServeOnAlone(t *testing.T) {
	o := origin(t, file(noise(1000, 22), `"1"`))
	var told sync.Map
	nodes := start(t, 2, static, func(i int, c *cluster.Config) {
		c.Secret = bytes.Repeat([]byte{byte(i)}, 16)
		c.OnFailure = func(err error) { told.Store(err.Error(), true) }
	})
	for i := range 20 {
		for _, n := range nodes {
			_, got := fetch(t, n, fmt.Sprintf("%s/%d.ts", o.URL, i))
			require.Len(t, got, 1000)
		}
	}
	require.Equal(t, 40, o.total())
	count := 0
	told.Range(func(k, _ any) bool { count++; require.Contains(t, k, "secrets or clocks"); return true })
	require.NotZero(t, count)
}

func TestAListenerWithoutTheSecretIsBelievedNothing(t *testing.T) {
	o := origin(t, file([]byte("right"), `"1"`))
	rogue := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Hlsproxy-Status", "200")
		w.Header().Set("Hlsproxy-Answer", "x")
		fmt.Fprint(w, "wrong")
	}))
	defer rogue.Close()
	d := &always{holder: func() string { return rogue.URL }}
	n := start(t, 1, func(int, []string) cluster.Directory { return members{d, []string{rogue.URL}} }, nil)[0]
	_, got := fetch(t, n, o.URL+"/a.ts")
	require.Equal(t, "right", string(got))
	_, missed, err := n.Purge(t.Context(), o.URL+"/a.ts")
	require.NoError(t, err)
	require.Equal(t, []string{rogue.URL}, missed)
}
