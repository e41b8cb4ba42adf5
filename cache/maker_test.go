package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
	"github.com/stretchr/testify/require"
)

// link is what the maker of a link says: a token, and a field that is no credential.
type link struct {
	token string
	hosts []string // hosts that get the token; nil: all
}

func (l link) has(u *url.URL) bool { return l.hosts == nil || slices.Contains(l.hosts, u.Host) }

func (l link) Apply(h http.Header, u *url.URL) {
	h["X-Site"] = []string{"site"}
	if l.has(u) {
		h["Authorization"], h["X-Token"] = []string{"Bearer " + l.token}, []string{l.token}
	}
}

func (l link) Credentials(u *url.URL) []string {
	if l.has(u) {
		return []string{"Authorization", "X-Token"}
	}
	return nil
}

func (l link) Inherited(u *url.URL) *url.URL { return u }

func (l link) Received(*url.URL, http.Header) {}

// context is the context of a viewer with the link. The origin learns nothing about this viewer.
func (l link) context(ctx context.Context) context.Context {
	return maker.NewContext(context.WithValue(ctx, sharing.Anonymous{}, true), l)
}

func (l link) request(t testing.TB, u string, header ...string) *http.Request {
	t.Helper()
	r := request(t, l.context(context.Background()), u, header...)
	l.Apply(r.Header, r.URL)
	return r
}

func (l link) fetch(t testing.TB, c http.RoundTripper, u string, header ...string) string {
	t.Helper()
	resp, err := c.RoundTrip(l.request(t, u, header...))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// echo answers with the token of the request, and with the number of requests so far.
func echo(header ...string) *scripted {
	return &scripted{answer: func(r *http.Request, n int64) reply {
		return text(fmt.Sprintf("%s %s %d", r.Header.Get("Authorization"), r.Header.Get("X-Token"), n), header...)
	}}
}

func TestOnlyViewersOfALinkShareItsAnswers(t *testing.T) {
	for _, vary := range []string{"", "X-Token", "Authorization, X-Token, X-Site"} {
		o := echo("Content-Type", "video/mp2t", "Vary", vary)
		c := &cache.Transport{Base: o, Store: store(t)}
		for range 2 {
			require.Equal(t, "Bearer a a 1", link{token: "a"}.fetch(t, c, segURL))
			require.Equal(t, "Bearer b b 2", link{token: "b"}.fetch(t, c, segURL))
			_, body := fetch(t, c, segURL)
			require.Equal(t, "  3", body)
		}
		_, body := fetch(t, c, segURL, "Authorization", "Bearer a", "X-Token", "a")
		require.Equal(t, "Bearer a a 4", body, "a viewer who sends the same itself has no link")
	}
}

// No Store gets a credential: neither in a key nor in the fields that an answer varies by.
func TestCredentialsAreNotStored(t *testing.T) {
	for name, long := range map[string]bool{"in one": false, "in slices": true} {
		t.Run(name, func(t *testing.T) {
			content := noise(3<<20, 1)
			o := trip(func(r *http.Request) (*http.Response, error) {
				h := head("Content-Type", "video/mp2t", "Vary", "X-Token, X-Site", "ETag", `"1"`, "Accept-Ranges", "bytes")
				a := reply{header: h, body: bytes.NewReader(content)}
				var from, to int
				if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
					h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
					a.status, a.body = http.StatusPartialContent, bytes.NewReader(content[from:to+1])
				}
				return a.response(r), nil
			})
			dir, seen := t.TempDir(), &sync.Map{}
			for _, s := range []cache.Store{openDir(t, dir, 50<<20), mapStore{seen}} {
				c := &cache.Transport{Base: o, Store: s}
				if long {
					c.MaxBody = 1 << 20
				}
				for range 2 {
					require.Equal(t, string(content), link{token: "s3cret"}.fetch(t, c, segURL))
				}
			}
			n := 0
			require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				n++
				file, err := os.ReadFile(path)
				require.NotContains(t, string(file), "s3cret")
				return err
			}))
			require.NotZero(t, n)
			n = 0
			seen.Range(func(key, e any) bool {
				n++
				require.NotContains(t, fmt.Sprint(key, e.(*cache.Entry).Header, e.(*cache.Entry).Vary), "s3cret")
				return true
			})
			require.NotZero(t, n)
		})
	}
}

func TestAPurgeReachesWhatCameForLinks(t *testing.T) {
	for name, s := range map[string]cache.Store{"memory": store(t), "files": openDir(t, t.TempDir(), 10<<20)} {
		for custom, key := range map[string]func(*http.Request) string{"": nil, ", own keys": cache.Key} {
			t.Run(name+custom, func(t *testing.T) {
				c := &cache.Transport{Base: echo("Content-Type", "video/mp2t", "Vary", "Accept-Language"), Store: s, Key: key}
				fill := func() {
					for _, l := range []link{{token: "a"}, {token: "b"}} {
						l.fetch(t, c, "http://o/a/1.ts", "Accept-Language", "de")
						l.fetch(t, c, "http://o/a/1.ts", "Accept-Language", "en")
						l.fetch(t, c, "http://o/a/1.ts2", "Accept-Language", "en")
					}
				}
				fill()
				n, err := c.Purge(t.Context(), "http://o/a/1.ts")
				require.NoError(t, err)
				require.Equal(t, 6, n, "for each link two variants and the mark that there are some")
				n, err = c.PurgePrefix(t.Context(), "http://o/a/")
				require.NoError(t, err)
				require.Equal(t, 4, n)
				fill()
				r := link{token: "c"}.request(t, "http://o/a/1.ts")
				r.Method = http.MethodPut
				resp, err := c.RoundTrip(r)
				require.NoError(t, err)
				resp.Body.Close()
				n, err = c.PurgePrefix(t.Context(), "http://o/")
				require.NoError(t, err)
				require.Equal(t, 4, n, "what one link's maker changes has changed for all")
			})
		}
	}
}

func TestAPurgeOfWhatIsBeingFetchedForALink(t *testing.T) {
	for _, moment := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} { // before and after the header
		synctest.Test(t, func(t *testing.T) {
			c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(_ *http.Request, n int64) reply {
				time.Sleep(time.Second)
				p := newPipe()
				go func() { time.Sleep(time.Second); p.send(fmt.Sprint(n), io.EOF) }()
				return reply{header: head("Content-Type", "video/mp2t"), body: p, length: 1}
			}}}
			var first, second string
			var wg sync.WaitGroup
			wg.Go(func() { first = link{token: "a"}.fetch(t, c, segURL) })
			time.Sleep(moment)
			_, err := c.Purge(t.Context(), segURL)
			require.NoError(t, err)
			wg.Go(func() { second = link{token: "a"}.fetch(t, c, segURL) })
			wg.Wait()
			require.Equal(t, "1 2 2", first+" "+second+" "+link{token: "a"}.fetch(t, c, segURL))
		})
	}
}

// What a playlist says about its segments counts for viewers with its link, and for nobody with another link.
func TestAPlaylistSpeaksForItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := map[string]int{"a": 50, "b": 1}
		var asked atomic.Int64
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text(strings.ReplaceAll(window(2, first[r.Header.Get("X-Token")], 3, ""), ".ts", ".xyz")).response(r), nil
			}
			asked.Add(1)
			return text(r.Header.Get("X-Token")+strings.Repeat(" ", 99), "Content-Type", "application/octet-stream").response(r), nil
		})}
		a, b := link{token: "a"}, link{token: "b"}
		list, seg := listURL+"?_HLS_msn=1&_HLS_part=0", func(i int) string { return fmt.Sprintf("http://origin.example/live/live-%d.xyz", i) }
		b.fetch(t, c, list)
		for range 2 {
			b.fetch(t, c, seg(1))
		}
		require.EqualValues(t, 1, asked.Load(), "a segment, since a playlist names it, whatever it is called")
		time.Sleep(20 * time.Second)
		a.fetch(t, c, list)
		time.Sleep(20 * time.Second)
		b.fetch(t, c, list)
		b.fetch(t, c, seg(1))
		require.EqualValues(t, 1, asked.Load(), "other numbers for another link are no new beginning")
		for i := range 3 {
			a.fetch(t, c, seg(50+i))
		}
		require.EqualValues(t, 4, asked.Load())
		first["a"] = 10
		time.Sleep(20 * time.Second)
		a.fetch(t, c, list)
		first["a"] = 50
		time.Sleep(20 * time.Second)
		a.fetch(t, c, list)
		a.fetch(t, c, seg(50))
		require.EqualValues(t, 5, asked.Load(), "the encoder has begun again")
		b.fetch(t, c, seg(1))
		require.EqualValues(t, 5, asked.Load(), "but not for others")
	})
}

// A redirect is good as long as its target is stored. The target was requested with the link's credentials.
func TestARedirectOfALinkIsShared(t *testing.T) {
	for name, l := range map[string]link{
		"credentials for all": {token: "a"}, "for the first host": {"a", []string{"origin.example"}}, "for the second host": {"a", []string{"cdn.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := map[string]int{}
			c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
				asked[r.URL.Host]++
				if r.URL.Host == "origin.example" {
					return reply{status: http.StatusFound, header: head("Location", "http://cdn.example/1.ts")}.response(r), nil
				}
				return text("x", "Content-Type", "video/mp2t").response(r), nil
			})}
			for range 3 {
				l.fetch(t, c, segURL)
				l.fetch(t, c, "http://cdn.example/1.ts")
			}
			require.Equal(t, map[string]int{"origin.example": 1, "cdn.example": 1}, asked)
		})
	}
}

func TestWhatALinkNamesIsPrefetchedForIt(t *testing.T) {
	c := &cache.Transport{Base: echo("Content-Type", "video/mp2t"), Store: store(t)}
	l := link{token: "a"}
	require.Equal(t, 1, c.Prefetch(l.context(t.Context()), slices.Values([]string{segURL}), 1))
	require.Equal(t, "Bearer a a 1", l.fetch(t, c, segURL))
}
