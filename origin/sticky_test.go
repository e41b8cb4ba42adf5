package origin_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

var stickySecret = []byte("0123456789abcdef")

// which is a pool of three origins that name themselves, behind a proxy that appends the mark to a line.
type which struct {
	pool  *origin.Pool
	proxy *origin.Proxy
	asked []string
	down  string
}

func newWhich(t *testing.T, config origin.PoolConfig) *which {
	t.Helper()
	w := &which{}
	config.Origins = []string{"http://a.example", "http://b.example", "http://c.example"}
	config.Base = roundTrip(func(r *http.Request) (*http.Response, error) {
		w.asked = append(w.asked, r.URL.String())
		if r.URL.Host == w.down {
			return nil, http.ErrServerClosed
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Host": {r.URL.Host}}, Body: http.NoBody, Request: r}, nil
	})
	var err error
	w.pool, err = origin.NewPool(config)
	require.NoError(t, err)
	w.proxy = &origin.Proxy{
		Sticky: "o", Transport: w.pool, ResponseHeader: []string{"X-Host", "X-Child"},
		Upstream: func(u *url.URL) (string, error) { return "http://a.example" + u.RequestURI(), nil },
		ModifyResponse: func(resp *http.Response) error {
			child, err := origin.Stick(resp.Request.Context(), []byte(resp.Header.Get("X-Child")+"/child?x=1,2#f"))
			resp.Header.Set("X-Child", string(child))
			return err
		},
	}
	return w
}

func (w *which) get(t *testing.T, path string) (host, child string) {
	t.Helper()
	rec := httptest.NewRecorder()
	path, _, _ = strings.Cut(path, "#") // as a client does
	w.proxy.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, 200, rec.Code)
	require.Empty(t, rec.Header().Get("Hlsproxy-Origin"))
	return rec.Header().Get("X-Host"), rec.Header().Get("X-Child")
}

func TestAMarkLeadsBackToItsOrigin(t *testing.T) {
	w := newWhich(t, origin.PoolConfig{Sticky: stickySecret})
	for _, path := range []string{"/1/", "/2/", "/3/", "/4/", "/5/"} {
		host, child := w.get(t, path)
		require.Regexp(t, `^/child\?x=1,2&o=[\w-]{12}#f$`, child)
		for _, dir := range []string{"/x", "/y/z", "/w", "/v", "/u/t/s"} { // without a mark they belong elsewhere
			again, same := w.get(t, dir+child)
			require.Equal(t, host, again)
			require.Equal(t, child, same, "URLs keep their spelling")
			require.Equal(t, "http://"+host+dir+"/child?x=1,2", w.asked[len(w.asked)-1], "the mark reaches no origin")
		}
	}
	_, child := w.get(t, "/1/")
	other := newWhich(t, origin.PoolConfig{Sticky: stickySecret})
	_, same := other.get(t, "/1/")
	require.Equal(t, child, same, "another node gives the same mark")
	other = newWhich(t, origin.PoolConfig{Sticky: []byte("another secret of 16 bytes")})
	_, different := other.get(t, "/1/")
	require.NotEqual(t, child, different)
}

func TestAMarkThatIsOfNoUse(t *testing.T) {
	w := newWhich(t, origin.PoolConfig{Sticky: stickySecret})
	host, child := w.get(t, "/1/")
	plain, _ := w.get(t, "/x/child?x=1,2")
	for _, query := range []string{"o=", "o", "o=AAAAAAAAAAAA", "o=short", "o=%00", "o=AAAAAAAAAAAA&o=", "o=http://a.example"} {
		got, _ := w.get(t, "/x/child?"+query+"&x=1,2")
		require.Equal(t, plain, got, query)
	}
	w.down = host
	got, moved := w.get(t, "/x"+child)
	require.NotEqual(t, host, got, "a session whose origin is gone goes on at another one")
	require.NotEqual(t, child, moved)
	again, _ := w.get(t, "/y"+moved)
	require.Equal(t, got, again, "and stays there")
	w.down = ""
	require.True(t, w.pool.Drain("http://"+again, true))
	got, _ = w.get(t, "/y"+moved)
	require.NotEqual(t, again, got, "nobody is led to an origin that is drained")
}

func TestWithoutMarks(t *testing.T) {
	_, err := origin.NewPool(origin.PoolConfig{Origins: []string{"http://a.example"}, Sticky: []byte("short")})
	require.ErrorContains(t, err, "Sticky")
	for name, change := range map[string]func(*which){
		"pool":  func(*which) {},
		"proxy": func(w *which) { w.proxy.Sticky = "" },
	} {
		secret := stickySecret
		if name == "pool" {
			secret = nil
		}
		w := newWhich(t, origin.PoolConfig{Sticky: secret})
		change(w)
		_, child := w.get(t, "/1/?o=1")
		require.Equal(t, "/child?x=1,2#f", child, name)
		if name == "proxy" {
			require.Contains(t, w.asked[0], "?o=1", "a parameter of any name belongs to upstream")
		}
	}
}
