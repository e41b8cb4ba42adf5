package cache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// Some answers are not served stale although StaleIfError would allow it, when the origin fails or says that the answer is for
// somebody else.
func TestWhatIsNotServedStale(t *testing.T) {
	const fresh = 10 * time.Second
	ok := func(header ...string) reply {
		return text("one", append([]string{"Content-Type", "video/mp2t", "ETag", `"one"`}, header...)...)
	}
	lasting := func(more ...string) func() reply {
		return func() reply { return ok("Cache-Control", strings.Join(append([]string{"max-age=10"}, more...), ", ")) }
	}
	type row struct {
		first func() reply // nil: max-age=10
		wait  time.Duration
		then  func(*http.Request) (*http.Response, error)
		ask   []string // fields of the second viewer
		purge bool
		stale bool
	}
	says := func(status int) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return reply{status: status, body: strings.NewReader("no")}.response(r), nil
		}
	}
	broken := func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }
	half := func(tag string) reply {
		body := io.MultiReader(strings.NewReader("ha"), iotest.ErrReader(io.ErrUnexpectedEOF))
		return reply{header: head("Content-Type", "video/mp2t", "ETag", tag, "Cache-Control", "max-age=10"), body: body, length: 9}
	}
	rows := map[string]row{
		"no answer":              {then: broken, stale: true},
		"beyond the bound":       {then: broken, wait: fresh + 61*time.Second},
		"within the bound":       {then: broken, wait: fresh + 59*time.Second, stale: true},
		"purged":                 {then: broken, purge: true},
		"must-revalidate":        {then: broken, first: lasting("must-revalidate")},
		"proxy-revalidate":       {then: broken, first: lasting("proxy-revalidate")},
		"s-maxage":               {then: broken, first: lasting("s-maxage=10")},
		"no-cache":               {then: broken, first: lasting("no-cache")},
		"private":                {then: broken, first: lasting("private")},
		"no-store":               {then: broken, first: lasting("no-store")},
		"stale-if-error=0":       {then: broken, first: lasting("stale-if-error=0")},
		"a cookie":               {then: broken, first: func() reply { return ok("Cache-Control", "max-age=10", "Set-Cookie", "a=b") }},
		"another variant":        {then: broken, first: func() reply { return ok("Cache-Control", "max-age=10", "Vary", "X-Lang") }, ask: []string{"X-Lang", "de"}},
		"the same variant":       {then: broken, first: func() reply { return ok("Cache-Control", "max-age=10", "Vary", "X-Lang") }, stale: true},
		"with credentials":       {then: broken, ask: []string{"Authorization", "Bearer x"}},
		"with a cookie":          {then: broken, ask: []string{"Cookie", "session=1"}},
		"no-store of the viewer": {then: broken, ask: []string{"Cache-Control", "no-store"}},
		"a body that broke":      {then: broken, first: func() reply { return half(`"one"`) }},
		"a failure": {then: broken, first: func() reply {
			return reply{status: 500, header: head("Cache-Control", "max-age=10"), body: strings.NewReader("one")}
		}},
		"a new body that breaks": {then: func(r *http.Request) (*http.Response, error) { return half(`"two"`).response(r), nil }},
	}
	for _, status := range []int{400, 401, 403, 404, 405, 410, 429, 451, 501, 505, 511} {
		rows[fmt.Sprint("then ", status)] = row{then: says(status)}
	}
	for _, status := range []int{500, 502, 503, 504} {
		rows[fmt.Sprint("then ", status)] = row{then: says(status), stale: true}
		rows[fmt.Sprint("then ", status, ", must-revalidate")] = row{then: says(status), first: lasting("must-revalidate")}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, then := row.first, row.then
				if first == nil {
					first = lasting()
				}
				asked := 0
				c := &cache.Transport{Store: store(t), StaleIfError: time.Minute, Base: trip(func(r *http.Request) (*http.Response, error) {
					if asked++; asked == 1 {
						return first().response(r), nil
					}
					return then(r)
				})}
				_, _, _ = try(t, c, segURL)
				time.Sleep(max(row.wait, fresh+time.Second))
				if row.purge {
					n, err := c.Purge(t.Context(), segURL)
					require.NoError(t, err)
					require.Equal(t, 1, n)
				}
				resp, body, err := try(t, c, segURL, row.ask...)
				require.Equal(t, 2, asked)
				if row.stale {
					require.NoError(t, err)
					require.Equal(t, "one", body)
					require.EqualValues(t, 1, c.Stats().Stale)
					return
				}
				require.Zero(t, c.Stats().Stale)
				require.NotEqual(t, "one", body)
				require.True(t, err != nil || resp.StatusCode != 200)
			})
		})
	}
}
