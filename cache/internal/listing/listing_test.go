package listing_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/stretchr/testify/require"
)

func names(refs ...string) listing.Hook {
	return func(_ []byte, _ string, yield func(string) bool) error {
		for _, ref := range refs {
			if !yield(ref) {
				break
			}
		}
		return nil
	}
}

func read(t *testing.T, text string, hook listing.Hook) (out *listing.Playlist) {
	t.Helper()
	require.True(t, new(listing.Reader).Read(strings.NewReader(text), "http://o/live/list.m3u8?x=1", hook, func(p *listing.Playlist) { out = p }))
	return out
}

func key(u *url.URL) (string, error) { return u.String(), nil }

const small = "#EXTM3U\n#EXTINF:4,\n1.ts#t=1\n#EXTINF:4,\n//cdn/2.ts\n#EXTINF:4,\nHTTP://O:80/3.ts\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"4.ts\"\n"

func TestNames(t *testing.T) {
	own := []string{"http://o/live/1.ts", "http://O:80/3.ts", "http://o/live/4.ts"}
	all := slices.Insert(slices.Clone(own), 1, "http://cdn/2.ts")
	require.Equal(t, listing.Names{All: all, Own: own, Hints: own[2:]}, read(t, small, names()).Names(key))
	more := read(t, small, names("http://o/5.ts?y=1", "http://o/live/1.ts")).Names(key)
	require.Equal(t, append(all, "http://o/5.ts?y=1"), more.All)
	require.Empty(t, read(t, small, names()).Names(func(*url.URL) (string, error) { return "", errors.New("no key") }))
}

// A long playlist names only the last of its files, and what the hook of a failed one found is not used.
func TestNamesAreBounded(t *testing.T) {
	text := "#EXTM3U\n" + strings.Repeat("#EXTINF:4,\nx.ts\n", 5000) + "#EXTINF:4,\nlast.ts\n"
	var refs []string
	for n := range 300_000 {
		refs = append(refs, fmt.Sprintf("http://o/%s%d", strings.Repeat("y", 100), n))
	}
	p := read(t, text, names(refs...))
	require.Equal(t, append([]string{"http://o/live/x.ts", "http://o/live/last.ts"}, refs[len(refs)-4096:]...), p.Names(key).All)
	kept, ok := p.All()
	require.False(t, ok)
	require.Less(t, len(kept), 150_000)
	failing := errors.New("x")
	p = read(t, small, func(_ []byte, _ string, yield func(string) bool) error { yield("http://o/5.ts"); return failing })
	require.Equal(t, failing, p.Err)
	require.Len(t, p.Names(key).All, 4)
	_, ok = p.All()
	require.False(t, ok)
}

func TestPiecesUnderTheNamesOfRequests(t *testing.T) {
	text := "#EXTM3U\n#EXTINF:4,\n../{$d}/1.ts\n#EXTINF:4,\n2.ts\n#EXTINF:4,\n{$u}/z.ts\n#EXTINF:4,\n" + strings.Repeat("n", 5000) + "\n#EXTINF:4,\nb.ts\n"
	for name, row := range map[string]struct{ refs, want []string }{
		"no hook":        {nil, []string{"", "2.ts", "", "", "b.ts"}},
		"variables":      {[]string{"http://o/d/1.ts", "http://o/live/2.ts?token=x"}, []string{"http://o/d/1.ts", "http://o/live/2.ts?token=x", "", "", "b.ts"}},
		"others between": {[]string{"http://o/key", "http://o/d/1.ts", "http://o/x", "http://o/live/b.ts"}, []string{"http://o/d/1.ts", "2.ts", "", "", "http://o/live/b.ts"}},
		"not its end":    {[]string{"http://o/d/1.tsx", "http://o/ab.ts"}, []string{"", "2.ts", "", "", "b.ts"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, ref := range read(t, text, names(row.refs...)).Pieces() {
				got = append(got, ref)
			}
			require.Equal(t, row.want, got)
		})
	}
}

func TestFewLongPlaylistsAreReadAtATime(t *testing.T) {
	long := "#EXTM3U\n" + strings.Repeat("#EXTINF:4,\nx.ts\n", 10_000)
	for name, row := range map[string]struct {
		text string
		took time.Duration
		want int // of six
	}{
		"short":            {small, time.Minute, 6},
		"long":             {long, 100 * time.Millisecond, 6},
		"long, and slowly": {long, time.Minute, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r listing.Reader
				var all sync.WaitGroup
				done := make(chan bool, 6)
				for range 6 {
					all.Go(func() {
						done <- r.Read(strings.NewReader(row.text), "http://o/", names(), func(*listing.Playlist) { time.Sleep(row.took) })
					})
				}
				all.Wait()
				close(done)
				read := 0
				for ok := range done {
					if ok {
						read++
					}
				}
				require.Equal(t, row.want, read)
				require.True(t, r.Read(strings.NewReader(long), "http://o/", names(), func(*listing.Playlist) {}))
			})
		})
	}
	require.False(t, new(listing.Reader).Read(strings.NewReader(small), "http://o/%zz", names(), nil))
}
