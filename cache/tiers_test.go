package cache_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// tier asks the next cache, as a node of a cluster does.
type tier struct{ next http.RoundTripper }

func (n tier) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Hlsproxy-Tier", "1")
	return n.next.RoundTrip(r)
}

// An answer that is fresh for a second is never served older than that, however many caches it came through and whenever they
// asked.
func TestTiersKnowTheExactAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			require.Empty(t, r.Header.Values("Hlsproxy-Tier"))
			time.Sleep(100 * time.Millisecond)
			return text(fmt.Sprint(time.Since(begin).Milliseconds()))
		}}
		ttl := func(*cache.Entry) time.Duration { return time.Second }
		inner := &cache.Transport{Base: o, Store: store(t), TTL: ttl, Name: "a"}
		outer := &cache.Transport{Base: tier{inner}, Store: store(t), TTL: ttl, Name: "b", StaleIfError: -1}
		oldest := time.Duration(0)
		for i := range 200 {
			c := []http.RoundTripper{outer, tier{inner}, outer}[i%3]
			resp, body := fetch(t, c, segURL)
			require.Equal(t, i%3 == 1, resp.Header.Get("Hlsproxy-Age") != "")
			var made int64
			fmt.Sscan(body, &made)
			oldest = max(oldest, time.Since(begin)-time.Duration(made)*time.Millisecond)
			time.Sleep(time.Duration(37*i%290) * time.Millisecond)
		}
		require.LessOrEqual(t, oldest, time.Second)
		require.Greater(t, oldest, 700*time.Millisecond, "and it was shared for as long")
	})
}

func TestNameInCacheStatus(t *testing.T) {
	inner := &cache.Transport{Base: numbered(1), Store: store(t), Name: "b"}
	outer := &cache.Transport{Base: inner, Store: store(t), Name: "a"}
	for _, want := range [][]string{
		{"b; fwd=uri-miss; stored", "a; fwd=uri-miss; stored"},
		{"b; fwd=uri-miss; stored", "a; hit"},
		{"b; fwd=uri-miss; stored", "a; hit"},
	} {
		resp, _ := fetch(t, outer, segURL)
		require.Equal(t, want, resp.Header.Values("Cache-Status"))
	}
	for name, want := range map[string]string{
		"": "hlsproxy", "node1.example:8080": "node1.example:8080", "1": `"1"`, `a "b"`: `"a \"b\""`, "Straße": `"Stra?e"`,
	} {
		c := &cache.Transport{Base: numbered(1), Name: name}
		resp, _ := fetch(t, c, segURL, "Authorization", "x", "Hlsproxy-Tier", "1")
		require.Equal(t, want+"; fwd=bypass", resp.Header.Get("Cache-Status"))
		require.Empty(t, resp.Header.Values("Hlsproxy-Age"))
	}
}

// The fields are only for the next cache.
func TestTheFieldsOfTiersGoNoFurther(t *testing.T) {
	for name, row := range map[string]struct {
		request, answer []string
		shared          bool
	}{
		"shared": {shared: true},
		"passed": {request: []string{"Authorization", "x"}},
		"unique": {answer: []string{"Set-Cookie", "a=b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked http.Header
			m := store(t)
			c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
				asked = r.Header
				return text("x", append(row.answer, "Hlsproxy-Age", "100", "Cache-Control", "max-age=10")...).response(r), nil
			})}
			for _, tier := range []bool{true, false} {
				header := row.request
				if tier {
					header = append(header, "Hlsproxy-Tier", "1")
				}
				resp, _ := fetch(t, c, segURL, header...)
				require.Empty(t, asked.Values("Hlsproxy-Tier"))
				require.Equal(t, tier && row.shared, resp.Header.Get("Hlsproxy-Age") != "")
			}
			e, err := m.Get(t.Context(), segURL)
			require.NoError(t, err)
			require.Equal(t, row.shared, e != nil)
			require.True(t, e == nil || e.Header["Hlsproxy-Age"] == nil)
		})
	}
}
