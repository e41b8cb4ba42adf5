package cache_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// archive is an origin with one large file, that counts the bytes it sends.
type archive struct {
	*httptest.Server
	mu      sync.Mutex
	body    []byte
	tag     string
	asked   []string // by Range
	deaf    bool     // ignores Range
	mute    bool     // no Last-Modified in a 206
	control string
}

func newArchive(t *testing.T, size int) *archive {
	a := &archive{body: noise(size, 9), tag: `"1"`}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		body, tag := a.body, a.tag
		a.asked = append(a.asked, r.Header.Get("Range"))
		if a.deaf {
			r.Header.Del("Range")
		}
		a.mu.Unlock()
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", a.control)
		at := time.Unix(1e9, 0)
		if a.mute && r.Header.Get("Range") != "" {
			at = time.Time{}
		}
		http.ServeContent(w, r, "", at, bytes.NewReader(body))
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *archive) replace(size int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.body, a.tag = noise(size, 10), `"2"`
}

func (a *archive) log() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

const mib = 1 << 20

func TestLargeObjectsAreKeptInSlices(t *testing.T) {
	for _, mute := range []bool{false, true} {
		for _, s := range []cache.Store{store(t), mapStore{&sync.Map{}}} {
			a := newArchive(t, 7*mib+5)
			a.mute = mute
			c := &cache.Transport{Base: base(t), Store: s, MaxBody: mib}
			for range 2 {
				resp, body := fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=2097150-2097153")
				require.Equal(t, 206, resp.StatusCode)
				require.Equal(t, fmt.Sprintf("bytes 2097150-2097153/%d", 7*mib+5), resp.Header.Get("Content-Range"))
				require.Equal(t, string(a.body[2097150:2097154]), body)
			}
			require.Equal(t, []string{"", "bytes=0-2097151", "bytes=2097152-4194303"}, a.log())
			resp, body := fetch(t, c, a.URL+"/a.mp4")
			require.Equal(t, 200, resp.StatusCode)
			require.True(t, string(a.body) == body)
			require.EqualValues(t, 7*mib+5, resp.ContentLength)
			require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
			require.Equal(t, []string{"bytes=4194304-6291455", fmt.Sprintf("bytes=6291456-%d", 7*mib+4)}, a.log()[3:])

			resp, err := c.RoundTrip(request(t, t.Context(), a.URL+"/a.mp4"))
			require.NoError(t, err)
			var out bytes.Buffer
			n, err := resp.Body.(io.WriterTo).WriteTo(&out)
			require.NoError(t, err)
			require.EqualValues(t, 7*mib+5, n)
			require.True(t, bytes.Equal(a.body, out.Bytes()))
			resp.Body.Close()
			_, err = resp.Body.Read(make([]byte, 1))
			require.Error(t, err)
			for field, code := range map[string]int{"bytes=-5": 206, "bytes=99999999-": 416, "bytes=0-1,4-5": 200} {
				resp, body = fetch(t, c, a.URL+"/a.mp4", "Range", field)
				require.Equal(t, code, resp.StatusCode)
				if code == 206 {
					require.Equal(t, string(a.body[7*mib:]), body)
				}
			}
			resp, _ = fetch(t, c, a.URL+"/a.mp4", "If-None-Match", `"1"`)
			require.Equal(t, 304, resp.StatusCode)
			require.Len(t, a.log(), 5)
		}
	}
}

func TestSlicesAreCoalesced(t *testing.T) {
	a := newArchive(t, 5*mib)
	c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
	var wg sync.WaitGroup
	var whole atomic.Int64
	for range 50 {
		wg.Go(func() {
			_, body := fetch(t, c, a.URL+"/a.mp4")
			if string(a.body) == body {
				whole.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 50, whole.Load())
	require.Len(t, a.log(), 4, "%v", a.log())
}

// A file that is replaced between two slices breaks the body that began with the old one, and no other.
func TestReplacedBetweenSlices(t *testing.T) {
	for name, size := range map[string]int{"same length": 5 * mib, "longer": 6 * mib, "short enough to be kept whole": mib / 2} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, 5*mib)
			c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
			old := a.body
			fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=0-1")
			a.replace(size)
			resp, body, err := try(t, c, a.URL+"/a.mp4")
			require.ErrorIs(t, err, cache.ErrBroken)
			require.Equal(t, 200, resp.StatusCode)
			require.True(t, strings.HasPrefix(string(old), body))
			for range 2 {
				_, body = fetch(t, c, a.URL+"/a.mp4")
				require.True(t, string(a.body) == body)
			}
		})
	}
	t.Run("before the first", func(t *testing.T) {
		a := newArchive(t, 5*mib)
		c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
		fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=4000000-4000001")
		a.replace(5 * mib)
		_, body := fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=0-1")
		require.Equal(t, string(a.body[:2]), body, "nothing was sent yet, so the viewer sees no failure")
	})
}

func TestOriginsThatCannotServeSlices(t *testing.T) {
	t.Run("deaf", func(t *testing.T) {
		a := newArchive(t, 5*mib)
		a.deaf = true
		c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
		for range 3 {
			_, body := fetch(t, c, a.URL+"/a.mp4")
			require.True(t, string(a.body) == body)
		}
		require.Len(t, a.log(), 1+1+3, "it is tried once")
	})
	t.Run("not cacheable", func(t *testing.T) {
		a := newArchive(t, 5*mib)
		a.control = "no-store"
		c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
		for range 2 {
			resp, body := fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=3-4")
			require.Equal(t, 206, resp.StatusCode)
			require.Equal(t, string(a.body[3:5]), body)
		}
		require.Equal(t, []string{"", "bytes=3-4", "bytes=3-4"}, a.log())
	})
}

// Close may be called while a Read waits, as of any response's body.
func TestSlicesAreClosedWhileTheyAreRead(t *testing.T) {
	a := newArchive(t, 5*mib)
	for _, atSlice := range []int64{0, 2 * mib} { // within one, and where the next begins
		c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
		resp, err := c.RoundTrip(request(t, t.Context(), a.URL+"/a.mp4"))
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, resp.Body, atSlice)
		require.NoError(t, err)
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, struct{ io.Reader }{resp.Body})
			read <- err
		}()
		resp.Body.Close()
		if err := <-read; err != nil {
			require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
		}
		resp.Body.Close()
		require.Eventually(t, func() bool { return c.Stats().Fills == 0 }, time.Minute, time.Millisecond)
	}
}

// Parts of two versions, or of two variants, never come together in one body, whatever they have in common.
func TestSlicesOfDifferentBodiesNeverMix(t *testing.T) {
	const size = 3 * mib
	const old = "Sun, 01 Nov 2026 10:00:00 GMT"
	for name, row := range map[string]struct {
		header []string // of every answer
		part   []string // of a 206 instead
		slices bool     // it is kept in slices
	}{
		"weak tag":                    {header: []string{"ETag", `W/"1"`}},
		"a date, and no clock":        {header: []string{"Last-Modified", old}},
		"a date of the same second":   {header: []string{"Last-Modified", old, "Date", old}},
		"an older date, another tag":  {header: []string{"Last-Modified", old, "Date", "Sun, 01 Nov 2026 10:00:01 GMT"}, part: []string{"Last-Modified", old, "ETag", `"2"`}},
		"a tag, and a slice of none":  {header: []string{"ETag", `"1"`, "Last-Modified", old}, part: []string{"Last-Modified", old}},
		"a tag, and a weak one":       {header: []string{"ETag", `"1"`}, part: []string{"ETag", `W/"1"`}},
		"a tag, and a private slice":  {header: []string{"ETag", `"1"`}, part: []string{"ETag", `"1"`, "Cache-Control", "private"}},
		"a tag, and a slice's cookie": {header: []string{"ETag", `"1"`}, part: []string{"ETag", `"1"`, "Set-Cookie", "a=b"}},
		"a tag, and slices that vary": {header: []string{"ETag", `"1"`}, part: []string{"ETag", `"1"`, "Vary", "X-V"}},
		"a tag, and an encoded slice": {header: []string{"ETag", `"1"`}, part: []string{"ETag", `"1"`, "Content-Encoding", "br"}},
		"codings that are none":       {header: []string{"ETag", `"1"`, "Content-Encoding", "aws-chunked", "Vary", "X-V"}, slices: true},
		"a strong date of variants":   {header: []string{"Last-Modified", old, "Date", "Sun, 01 Nov 2026 10:00:01 GMT", "Vary", "X-V"}, slices: true},
		"a strong tag of variants":    {header: []string{"ETag", `"1"`, "Vary", "X-V"}, slices: true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var parts int
			m := store(t)
			c := &cache.Transport{Store: m, MaxBody: mib, Base: trip(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				body, header := strings.Repeat(r.Header.Get("X-V"), size), append([]string{"Cache-Control", "max-age=1000"}, row.header...)
				var from, to int64
				if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n < 2 {
					return text(body, header...).response(r), nil
				}
				parts++
				if row.part != nil {
					header = row.part
				}
				header = append(header, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
				a := text(body[from:to+1], header...)
				a.status = 206
				return a.response(r), nil
			})}
			try(t, c, segURL, "Range", "bytes=0-99", "X-V", "a")
			for _, purge := range []string{"", segURL} {
				m.Purge(t.Context(), func(k string) bool { return k == purge }) // as when the mark is evicted
				for _, v := range []string{"b", "a", "b"} {
					_, body, err := try(t, c, segURL, "X-V", v)
					require.NoError(t, err)
					require.Equal(t, size, strings.Count(body, v))
				}
			}
			if row.slices {
				require.Equal(t, 4, parts, "each slice of each variant once")
			}
		})
	}
}

// A reader of a version that the origin has replaced does not forget the new one.
func TestAnOldReaderLeavesTheNewVersion(t *testing.T) {
	a := newArchive(t, 5*mib)
	c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
	old, err := c.RoundTrip(request(t, t.Context(), a.URL+"/a.mp4"))
	require.NoError(t, err)
	a.replace(5 * mib)
	c.Purge(t.Context(), a.URL+"/a.mp4")
	_, body := fetch(t, c, a.URL+"/a.mp4")
	require.True(t, string(a.body) == body)
	asked := len(a.log())
	_, err = io.Copy(io.Discard, old.Body)
	require.ErrorIs(t, err, cache.ErrBroken)
	old.Body.Close()
	resp, err := c.RoundTrip(request(t, t.Context(), a.URL+"/a.mp4", "If-None-Match", `"2"`))
	require.NoError(t, err)
	require.Equal(t, 304, resp.StatusCode)
	require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
	require.Len(t, a.log(), asked+1, "the old reader asked for a slice")
}
