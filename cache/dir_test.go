package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// opened is the last Dir of each directory.
var opened sync.Map

// openDir opens a directory, as after a restart if it was opened before.
func openDir(t *testing.T, dir string, maxBytes int64) *cache.Dir {
	t.Helper()
	if last, ok := opened.Load(dir); ok {
		require.NoError(t, last.(*cache.Dir).Close())
	}
	d, err := cache.NewDir(dir, maxBytes)
	require.NoError(t, err)
	opened.Store(dir, d)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// A closed Dir leaves all its files to the next one, and no longer touches them.
func TestAClosedDir(t *testing.T) {
	dir := t.TempDir()
	o := numbered(100_000)
	first := openDir(t, dir, 1<<20)
	c := &cache.Transport{Base: o, Store: first}
	_, want := fetch(t, c, segURL)
	_, err := cache.NewDir(dir, 1<<20)
	require.ErrorIs(t, err, cache.ErrDirInUse)
	under, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)

	second := openDir(t, dir, 1<<20)
	got, err := io.ReadAll(under.Body)
	require.NoError(t, err)
	require.True(t, want == string(got))
	under.Body.Close()
	require.Zero(t, first.Len())
	require.Zero(t, first.Size())
	n, err := first.Purge(t.Context(), func(string) bool { return true })
	require.NoError(t, err)
	require.Zero(t, n)
	require.ErrorIs(t, first.Put(t.Context(), "key", &cache.Entry{}), fs.ErrClosed)
	_, got2 := fetch(t, c, segURL)
	require.True(t, want == got2, "the origin is asked")
	require.EqualValues(t, 2, o.asked.Load())
	require.NoError(t, first.Close())
	require.Equal(t, 1, second.Len())
	resp, _ := fetch(t, &cache.Transport{Base: o, Store: second}, segURL)
	require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
}

// numbered is an origin whose segments differ by path.
func numbered(size int) *scripted {
	return &scripted{answer: func(r *http.Request, _ int64) reply {
		return text(r.URL.Path+string(noise(size, uint64(len(r.URL.Path)))), "Content-Type", "video/mp2t", "ETag", `"`+r.URL.Path+`"`)
	}}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range list {
		if f.Name() != "hlsproxy.lock" {
			names = append(names, f.Name())
		}
	}
	return names
}

func TestDirSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	o := numbered(100_000)
	c := &cache.Transport{Base: o, Store: openDir(t, dir, 1<<20)}
	_, want := fetch(t, c, segURL)
	fetch(t, c, "http://origin.example/empty.ts")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "half.hlsproxy-tmp"), []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "foreign"), []byte("foreign"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "foreign.hlsproxy"), []byte("not by us"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.hlsproxy"), 0o700))

	d := openDir(t, dir, 1<<20)
	require.Equal(t, 2, d.Len())
	c = &cache.Transport{Base: o, Store: d}
	for range 2 {
		resp, body := fetch(t, c, segURL)
		require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
		require.True(t, want == body)
		require.Equal(t, `"/live/seg1.ts"`, resp.Header.Get("ETag"))
	}
	require.EqualValues(t, 2, o.asked.Load())
	require.FileExists(t, filepath.Join(dir, "foreign"), "what is not ours stays")
	require.FileExists(t, filepath.Join(dir, "foreign.hlsproxy"))
	require.DirExists(t, filepath.Join(dir, "folder.hlsproxy"))
	require.NoFileExists(t, filepath.Join(dir, "half.hlsproxy-tmp"))
}

func TestDirRefusesWhatWasChanged(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"cut to a head": func(b []byte) []byte { return b[:40] },
		"longer":        func(b []byte) []byte { return append(b, 0) },
		"body":          func(b []byte) []byte { b[len(b)-1]++; return b },
		"head":          func(b []byte) []byte { b[60]++; return b },
		"head length":   func(b []byte) []byte { b[17] = 0xff; return b },
		"zeros":         func(b []byte) []byte { clear(b[len(b)-5000:]); return b },
		"all zeros":     func(b []byte) []byte { clear(b); return b },
		"empty":         func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := numbered(10_000)
			fetch(t, &cache.Transport{Base: o, Store: openDir(t, dir, 1<<20)}, segURL)
			path := filepath.Join(dir, files(t, dir)[0])
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, change(b), 0o600))
			c := &cache.Transport{Base: o, Store: openDir(t, dir, 1<<20)}
			_, body := fetch(t, c, segURL)
			require.True(t, strings.HasPrefix(body, "/live/seg1.ts"))
			require.Len(t, body, 10_000+len("/live/seg1.ts"))
			require.EqualValues(t, 2, o.asked.Load())
			require.Len(t, files(t, dir), 1, "the bad file is gone, a good one is there")
		})
	}
	t.Run("while in use", func(t *testing.T) {
		dir := t.TempDir()
		o := numbered(10_000)
		c := &cache.Transport{Base: o, Store: openDir(t, dir, 1<<20)}
		fetch(t, c, segURL)
		again := func(asked int) {
			for range 3 {
				_, body := fetch(t, c, segURL)
				require.Len(t, body, 10_000+len("/live/seg1.ts"))
				require.EqualValues(t, asked, o.asked.Load(), "it is fetched once, and stored again")
			}
		}
		require.NoError(t, os.Truncate(filepath.Join(dir, files(t, dir)[0]), 100))
		again(2)
		require.NoError(t, os.Remove(filepath.Join(dir, files(t, dir)[0])))
		again(3)
	})
}

// After a restart, too, an answer ages by the monotonic clock: else it would be fresh again when the clock of the machine is
// set back.
func TestDirKeepsAgesByTheMonotonicClock(t *testing.T) {
	dir := t.TempDir()
	for name, at := range map[string]time.Time{"past": time.Now().Add(-time.Minute), "future": time.Now().Add(time.Hour)} {
		e := &cache.Entry{URL: name, Status: http.StatusOK, Time: at, TTL: time.Hour}
		require.NoError(t, openDir(t, dir, 1<<20).Put(t.Context(), name, e))
		e, err := openDir(t, dir, 1<<20).Get(t.Context(), name)
		require.NoError(t, err)
		require.Contains(t, e.Time.String(), " m=", name)
		require.False(t, e.Time.After(time.Now()), name)
		require.Equal(t, name == "past", e.Age() >= time.Minute, name)
	}
}

// taken is the disk space of a file.
func taken(file os.FileInfo) int64 { return (file.Size() + 4095) / 4096 * 4096 }

// Small files take whole blocks, and are counted so.
func TestADirOfTinyBodiesIsBounded(t *testing.T) {
	const bound = 1 << 20
	dir := t.TempDir()
	d := openDir(t, dir, bound)
	for i := range 1000 {
		key := fmt.Sprint(i)
		require.NoError(t, d.Put(t.Context(), key, &cache.Entry{URL: key, Status: 200, Body: cache.Bytes([]byte("x"))}))
	}
	require.LessOrEqual(t, d.Len(), bound/4096)
	require.Len(t, files(t, dir), d.Len())
	require.Equal(t, int64(d.Len()*4096), openDir(t, dir, bound).Size(), "after a restart, too")
}

func TestDirIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir, 1<<20)
	o := numbered(50_000)
	c := &cache.Transport{Base: o, Store: d}
	fetch(t, c, segURL)
	resp, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)
	defer resp.Body.Close()
	for i := range 60 {
		fetch(t, c, fmt.Sprintf("http://origin.example/%d.ts", i))
		require.LessOrEqual(t, d.Size(), int64(1<<20))
	}
	var sum int64
	for _, name := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		sum += taken(info)
	}
	require.Equal(t, d.Size(), sum)
	require.Len(t, files(t, dir), d.Len())
	require.Greater(t, sum, int64(9<<20/10))
	require.NotZero(t, c.Stats().Evictions)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Len(t, body, 50_000+len("/live/seg1.ts"), "what was dropped stays whole for its reader")

	smaller := openDir(t, dir, 200_000)
	require.LessOrEqual(t, smaller.Size(), int64(200_000))
	none := openDir(t, dir, 0)
	require.Zero(t, none.Len())
	require.Empty(t, files(t, dir))
	fetch(t, &cache.Transport{Base: o, Store: none}, segURL)
	require.Empty(t, files(t, dir))
}

func TestDirAnswersRangesAndOverHTTP(t *testing.T) {
	d := openDir(t, t.TempDir(), 1<<20)
	c := &cache.Transport{Base: numbered(300_000), Store: d}
	_, want := fetch(t, c, segURL)
	_, part := fetch(t, c, segURL, "Range", "bytes=100-299")
	require.Equal(t, want[100:300], part)

	var plain bytes.Buffer
	resp, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)
	_, err = resp.Body.(io.WriterTo).WriteTo(struct{ io.Writer }{&plain})
	require.NoError(t, err)
	require.True(t, want == plain.String())
	resp.Body.Close()
	resp.Body.Close()
	_, err = resp.Body.Read(make([]byte, 1))
	require.Error(t, err)

	s := edge(t, c, "http://origin.example")
	got := watch(t.Context(), base(t), s.URL+"/live/seg1.ts", func() {})
	require.NoError(t, got.err)
	require.True(t, want == string(got.body))
	e, err := d.Get(t.Context(), segURL)
	require.NoError(t, err)
	some := make([]byte, 10)
	_, err = e.Body.ReadAt(some, 20)
	require.NoError(t, err)
	require.Equal(t, want[20:30], string(some))
}

func TestDirKeepsAgesVariantsAndNegatives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			return text(r.Header.Get("Accept-Language"), "Content-Type", "video/mp2t", "Vary", "Accept-Language", "Cache-Control", "max-age=100")
		}}
		for i := range 3 {
			c := &cache.Transport{Base: o, Store: openDir(t, dir, 1<<20)}
			for _, lang := range []string{"de", "en"} {
				resp, body := fetch(t, c, segURL, "Accept-Language", lang)
				require.Equal(t, lang, body)
				if i > 0 {
					require.Equal(t, fmt.Sprint(30*i), resp.Header.Get("Age"))
				}
			}
			time.Sleep(30 * time.Second)
		}
		require.EqualValues(t, 2, o.asked.Load())
	})
}

func TestDirThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := cache.NewDir(file, 1)
	require.Error(t, err)

	dir := filepath.Join(t.TempDir(), "dir")
	c := &cache.Transport{Base: numbered(10), Store: openDir(t, dir, 1<<20)}
	require.NoError(t, os.RemoveAll(dir))
	for range 2 {
		_, body := fetch(t, c, segURL)
		require.Len(t, body, 10+len("/live/seg1.ts"))
	}
	require.EqualValues(t, 2, c.Stats().Errors, "viewers do not notice")
	require.Zero(t, c.Store.(*cache.Dir).Size())
}

func TestDirServesSlices(t *testing.T) {
	dir := t.TempDir()
	a := newArchive(t, 5*mib)
	for range 2 {
		c := &cache.Transport{Base: base(t), Store: openDir(t, dir, 10*mib), MaxBody: mib}
		_, body := fetch(t, c, a.URL+"/a.mp4")
		require.True(t, string(a.body) == body)
	}
	require.Len(t, a.log(), 4)
}

func BenchmarkHitFromDir(b *testing.B) {
	d, err := cache.NewDir(b.TempDir(), 64<<20)
	require.NoError(b, err)
	c := &cache.Transport{Base: numbered(200 << 10), Store: d}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := c.RoundTrip(request(b, r.Context(), segURL))
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
		resp.Body.(io.WriterTo).WriteTo(w)
	}))
	defer s.Close()
	for b.Loop() {
		resp, err := http.Get(s.URL)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// The file of an Entry that its origin has confirmed is made from the old one.
func TestAConfirmedEntryStaysInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	o := &editions{edition: strings.Repeat("one", 1000), header: []string{"Cache-Control", "max-age=0"}}
	for range 2 { // the second time after a restart
		d := openDir(t, dir, 64<<20)
		c := &cache.Transport{Base: o, Store: d}
		for range 3 {
			o.header = append(o.header, "X-Longer", "head") // the body moves within its file
			_, body := fetch(t, c, segURL)
			require.Equal(t, o.edition, body)
		}
		require.Equal(t, 1, d.Len())
		require.Zero(t, c.Stats().Errors)
		names := files(t, dir)
		require.Len(t, names, 1)
		info, err := os.Stat(filepath.Join(dir, names[0]))
		require.NoError(t, err)
		require.Equal(t, taken(info), d.Size())
	}
	tag := `"` + o.edition + `"`
	require.Equal(t, []string{"", tag, tag, tag, tag, tag}, o.log)
}

// A viewer of an Entry reads on while the request of another confirms it.
func TestABodyIsReadWhileItsEntryIsConfirmed(t *testing.T) {
	d := openDir(t, t.TempDir(), 64<<20)
	o := &editions{edition: strings.Repeat("one", 1000), header: []string{"Cache-Control", "max-age=0"}}
	c := &cache.Transport{Base: o, Store: d}
	fetch(t, c, segURL)
	e, err := d.Get(t.Context(), segURL)
	require.NoError(t, err)
	_, body := fetch(t, c, segURL)
	require.Equal(t, o.edition, body)
	old := make([]byte, e.Body.Size())
	_, err = e.Body.ReadAt(old, 0)
	require.NoError(t, err)
	require.Equal(t, o.edition, string(old))
}

// A process is killed when the file of a newer answer has its name, but the older file still exists.
func TestTheNewerOfTwoFilesIsLoaded(t *testing.T) {
	for _, number := range []string{"0", "z"} { // before and after the other, in the order of names
		dir := t.TempDir()
		o := &editions{edition: strings.Repeat("one", 1000), header: []string{"Cache-Control", "max-age=0", "X-Count", "1"}}
		c := &cache.Transport{Base: o, Store: openDir(t, dir, 64<<20)}
		fetch(t, c, segURL)
		name := files(t, dir)[0]
		old, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
		o.header[3] = "2"
		fetch(t, c, segURL)
		hash, rest, _ := strings.Cut(name, "-")
		require.NoError(t, os.WriteFile(filepath.Join(dir, hash+"-"+number+rest[1:]), old, 0o600))

		d := openDir(t, dir, 64<<20)
		e, err := d.Get(t.Context(), segURL)
		require.NoError(t, err)
		require.Equal(t, []string{"2"}, e.Header["X-Count"], number)
		require.Equal(t, 1, d.Len())
		require.Len(t, files(t, dir), 1, "the other is gone")
		info, err := os.Stat(filepath.Join(dir, files(t, dir)[0]))
		require.NoError(t, err)
		require.Equal(t, taken(info), d.Size())
	}
}

// unreadable is a Body that cannot be read.
type unreadable struct{ size int64 }

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errors.New("unreadable") }

func (u unreadable) Size() int64 { return u.size }

// What could not be replaced is out of date.
func TestWhatADirCannotReplaceIsGone(t *testing.T) {
	for name, row := range map[string]struct {
		body  cache.Body
		fails bool
	}{"unreadable": {unreadable{10}, true}, "too long": {cache.Bytes(make([]byte, 64<<10)), false}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDir(t, dir, 16<<10)
			require.NoError(t, d.Put(t.Context(), "key", &cache.Entry{Status: 200, Body: cache.Bytes([]byte("old"))}))
			err := d.Put(t.Context(), "key", &cache.Entry{Status: 200, Body: row.body})
			require.Equal(t, row.fails, err != nil)
			e, err := d.Get(t.Context(), "key")
			require.NoError(t, err)
			require.Nil(t, e)
			require.Zero(t, d.Size())
			require.Empty(t, files(t, dir))
		})
	}
}

// full is a Store that can take nothing more.
type full struct {
	*cache.Dir
	is bool
}

func (f *full) Put(ctx context.Context, key string, e *cache.Entry) error {
	if f.is {
		return errors.New("no space left")
	}
	return f.Dir.Put(ctx, key, e)
}

// What a Store cannot mark as of an earlier programme is purged.
func TestAnEncoderThatBeginsAgainBeforeAFullStore(t *testing.T) {
	generation := 0
	o := trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.String() == listURL {
			return text(strings.Replace(live(4, "seg1.ts"), "SEQUENCE:1", fmt.Sprintf("SEQUENCE:%d", 9-9*generation), 1), "Cache-Control", "no-cache").response(r), nil
		}
		return text(fmt.Sprint("generation ", generation), "Content-Type", "video/mp2t").response(r), nil
	})
	s := &full{Dir: openDir(t, t.TempDir(), 1<<20)}
	c := &cache.Transport{Base: o, Store: s}
	for generation = range 2 {
		fetch(t, c, listURL)
		_, got := fetch(t, c, segURL)
		require.Equal(t, fmt.Sprint("generation ", generation), got)
		s.is = true
	}
}
