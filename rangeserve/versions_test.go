package rangeserve_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// A file that was changed a moment ago has no validator by which a part of it could be joined with a later version.
func TestFilesHasNoStrongValidatorForAYoungFile(t *testing.T) {
	dir := folder(t, "a.ts")
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.ts"), modified, modified)) // which sets the change time to now
	for _, c := range []struct {
		age    time.Duration // added to the true one
		strong bool
	}{{0, false}, {time.Second, false}, {-time.Minute, false}, {time.Hour, true}} {
		h := (&rangeserve.Files{Root: openRoot(t, dir)}).Later(c.age)
		a := serveTo(h, "/a.ts", "").Header()
		require.Equal(t, !c.strong, strings.HasPrefix(a.Get("Etag"), "W/"), c.age)
		require.Equal(t, c.strong, a.Get("Last-Modified") != "", c.age)
		r := httptest.NewRequest("GET", "/a.ts", nil)
		r.Header.Set("Range", "bytes=0-1")
		r.Header.Set("If-Range", a.Get("Etag"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, map[bool]int{true: 206, false: 200}[c.strong], w.Code, c.age)
	}
}

// The second of Last-Modified must be over: another version could follow in the same second.
func TestServeTellsNoDateOfThisSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rangeserve.Content{ReaderAt: strings.NewReader("abc"), Size: 3, ModTime: time.Now().Add(300 * time.Millisecond)}
		for _, want := range []string{"", "", "Sat, 01 Jan 2000 00:00:00 GMT"} {
			w := httptest.NewRecorder()
			rangeserve.Serve(w, httptest.NewRequest("GET", "/a.ts", nil), c)
			require.Equal(t, want, w.Header().Get("Last-Modified"))
			time.Sleep(500 * time.Millisecond)
		}
	})
}

// A version is a film made from one number: its chunk offsets and its media.
type versions struct {
	count, entries int
}

func (v versions) film(n int) []byte {
	table := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(v.entries))
	for range v.entries {
		table = binary.BigEndian.AppendUint32(table, uint32(1000+n%500))
	}
	return film(ftyp, atom("mdat", bytes.Repeat([]byte{byte(n)}, 600_000)), atom("moov", trak(atom("stco", table))))
}

// of finds the version to which the bytes of an answer belong. False: they belong to none, or to several.
func (v versions) of(t *testing.T, body []byte, films [][]byte) (int, bool) {
	t.Helper()
	for n, f := range films {
		if bytes.Equal(body, f) {
			return n, true
		}
	}
	return 0, false
}

// Writers write in place while readers read: no whole answer mixes two versions, and no If-Range joins two. HLSPROXY_STRESS=1m
// makes the test last longer.
func TestFilesAgainstInPlaceWriters(t *testing.T) {
	long := 1500 * time.Millisecond
	if d, err := time.ParseDuration(os.Getenv("HLSPROXY_STRESS")); err == nil {
		long = d
	}
	v := versions{count: 8, entries: 100_000}
	var plain, fast [][]byte
	for n := range v.count {
		f := v.film(n)
		plain = append(plain, f)
		r, size, err := rangeserve.Faststart(bytes.NewReader(f), int64(len(f)))
		require.NoError(t, err)
		view := make([]byte, size)
		_, err = r.ReadAt(view, 0)
		require.NoError(t, err)
		fast = append(fast, view)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.mp4", "b.mp4"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), plain[0], 0o600))
	}
	servers := []struct {
		url   string
		films [][]byte
	}{
		{start(t, &rangeserve.Files{Root: openRoot(t, dir)}), plain},
		{start(t, &rangeserve.Files{Root: openRoot(t, dir), Faststart: true}), fast},
	}
	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	for i, name := range []string{"a.mp4", "b.mp4"} {
		writers.Go(func() {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for n := 1; !stop.Load(); n++ {
				_, _ = f.WriteAt(plain[n%v.count], 0)
				time.Sleep(time.Duration(5+i*300) * time.Millisecond)
			}
		})
	}
	var wholes, joined atomic.Int64
	read := func(url string, films [][]byte) {
		first, ok := try(url, "Range: bytes=0-399999")
		if !ok || first.StatusCode != 206 {
			return
		}
		tag := first.Header.Get("Etag")
		second, ok := try(url, "Range: bytes=400000-", "If-Range: "+tag)
		if !ok {
			return
		}
		body := second.body
		if second.StatusCode == 206 {
			joined.Add(1)
			body = append(first.body, body...)
		}
		if _, one := v.of(t, body, films); !one {
			t.Errorf("%s: a %d mixes two versions (%s, %s)", url, second.StatusCode, tag, second.Header.Get("Etag"))
		}
		wholes.Add(1)
	}
	for _, s := range servers {
		for _, name := range []string{"/a.mp4", "/b.mp4"} {
			readers.Go(func() {
				for end := time.Now().Add(long); time.Now().Before(end) && !t.Failed(); {
					read(s.url+name, s.films)
				}
			})
		}
	}
	readers.Wait()
	stop.Store(true)
	writers.Wait()
	t.Logf("%d whole answers, %d of two parts", wholes.Load(), joined.Load())
	for _, s := range servers { // and nothing of it all stays
		a := ask(t, "GET", s.url+"/b.mp4")
		require.NoError(t, a.err)
		_, one := v.of(t, a.body, s.films)
		require.True(t, one)
	}
}

// try sends a request whose answer may break off.
func try(url string, lines ...string) (answer, bool) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return answer{}, false
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, false
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return answer{resp, body.Bytes(), err}, err == nil
}

// If a read falls into a write, nothing of it is served once the write has ended.
func TestFilesKeepsNoLayoutOfAWriteUnderWay(t *testing.T) {
	v := versions{entries: 10}
	before, after := v.film(1), v.film(2)
	dir := t.TempDir()
	name := filepath.Join(dir, "a.mp4")
	require.NoError(t, os.WriteFile(name, before[:len(before)/2], 0o600)) // a write half done
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	h := &rangeserve.Files{Root: openRoot(t, dir), Faststart: true}
	_ = serveTo(h, "/a.mp4", "")
	_, err = f.WriteAt(after, 0)
	require.NoError(t, err)
	r, size, err := rangeserve.Faststart(bytes.NewReader(after), int64(len(after)))
	require.NoError(t, err)
	want := make([]byte, size)
	_, err = r.ReadAt(want, 0)
	require.NoError(t, err)
	for _, age := range []time.Duration{0, time.Second, time.Hour} {
		require.True(t, bytes.Equal(want, serveTo(h.Later(age), "/a.mp4", "").Body.Bytes()), age)
	}
}

// A write that ends during the answer is noticed, even if the times of the file stay the same.
func TestFilesReadsARestlessFileTwice(t *testing.T) {
	for name, fast := range map[string]bool{"a.ts": false, "a.mp4": true} {
		v := versions{entries: 100_000}
		first, second := v.film(1), v.film(2)
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, first, 0o600))
		info, err := os.Stat(file)
		require.NoError(t, err)
		h := &rangeserve.Files{Root: openRoot(t, filepath.Dir(file)), Faststart: fast}
		once := sync.OnceFunc(func() {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(second, 0)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.NoError(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		})
		w := &slowWriter{httptest.NewRecorder(), once}
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, httptest.NewRequest("GET", "/"+name, nil)) }, name)
		require.Less(t, w.Body.Len(), len(first))
	}
}

// A moov of any size is kept in a few bytes, which all viewers share.
func TestFilesHoldsNoMoovInMemory(t *testing.T) {
	dir := t.TempDir()
	const entries = 4 << 20
	for _, name := range []string{"a.mp4", "b.mp4"} {
		wideFilm(t, filepath.Join(dir, name), entries)
	}
	h := settled(&rangeserve.Files{Root: openRoot(t, dir), Faststart: true})
	for _, name := range []string{"/a.mp4", "/b.mp4"} {
		w := serveTo(h, name, "bytes=40-59")
		require.Equal(t, 206, w.Code)
		require.Contains(t, w.Header().Get("Etag"), "-f")
	}
	result := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			serveTo(h, "/a.mp4", "bytes=0-1")
			serveTo(h, "/b.mp4", fmt.Sprintf("bytes=%d-%d", entries, entries+100))
		}
	})
	require.Less(t, result.AllocedBytesPerOp(), int64(1<<20))
}

// wideFilm is a sparse film of more than 4 GiB. Its offsets become wide when they are moved.
func wideFilm(t *testing.T, name string, entries int) {
	t.Helper()
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	const media = 4<<30 - 4096
	_, err = f.Write(append(ftyp, append(header(1, "mdat"), binary.BigEndian.AppendUint64(nil, media)...)...))
	require.NoError(t, err)
	table := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(entries))
	for range entries {
		table = binary.BigEndian.AppendUint32(table, 0xfffff000)
	}
	_, err = f.WriteAt(atom("moov", trak(atom("stco", table))), int64(len(ftyp))+media)
	require.NoError(t, err)
}

// A file that a browser would run is shown without its scripts.
func TestFilesServesPagesInert(t *testing.T) {
	names := map[string]bool{
		"a.html": true, "a.htm": true, "a.xhtml": true, "a.svg": true, "a.xml": true, "a.ttml": true, "a.mpd": true,
		"a.ts": false, "a.mp4": false, "a.m3u8": false, "a.jpg": false, "a.vtt": false, "a.js": false, "a.json": false, "a": false,
	}
	var list []string
	for name := range names {
		list = append(list, name)
	}
	root := openRoot(t, folder(t, list...))
	h, pages := settled(&rangeserve.Files{Root: root}), settled(&rangeserve.Files{Root: root, Pages: true})
	for name, inert := range names {
		policy := serveTo(h, "/"+name, "").Header().Get("Content-Security-Policy")
		require.Equal(t, inert, policy == "sandbox; default-src 'none'", name)
		require.Equal(t, inert, policy != "", name)
		require.Empty(t, serveTo(pages, "/"+name, "").Header()["Content-Security-Policy"], name)
	}
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		h.ServeHTTP(w, r)
	})
	require.Equal(t, []string{"default-src 'self'"}, serveTo(own, "/a.html", "").Header()["Content-Security-Policy"])
	typed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "Text/HTML")
		h.ServeHTTP(w, r)
	})
	require.NotEmpty(t, serveTo(typed, "/a.ts", "").Header()["Content-Security-Policy"])
}
