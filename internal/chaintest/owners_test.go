package chaintest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

var stress = flag.Duration("stress", 0, "how long the stress of the chains goes on; 0: some hundred requests")

// property describes a path of the stress test: the request field by which its answers differ, and how the origin says so.
type property struct {
	by     string // "": everybody gets the same
	header []string
	status int
	size   int
	weak   bool // nothing tells versions apart
}

// properties by the first element of a path. With a MaxBody of 64 KiB, longer bodies are kept in slices, if they may be shared.
var properties = map[string]property{
	"all":           {size: 30_000, header: []string{"Cache-Control", "max-age=1"}},
	"again":         {size: 3_000, header: []string{"Cache-Control", "no-cache"}},
	"lang":          {by: "X-Lang", size: 30_000, header: []string{"Vary", "X-Lang", "Cache-Control", "max-age=1"}},
	"lang-again":    {by: "X-Lang", size: 3_000, header: []string{"Vary", "X-Lang", "Cache-Control", "no-cache"}},
	"key":           {by: "X-Api-Key", size: 30_000, header: []string{"Vary", "X-Api-Key", "Cache-Control", "max-age=1"}},
	"key-lists":     {by: "X-Api-Key", size: 3_000, header: []string{"Vary", "Origin, x-lang", "Vary", "Accept-Encoding,x-api-key"}},
	"private":       {by: "X-Api-Key", size: 30_000, header: []string{"Cache-Control", "private, max-age=9"}},
	"private-again": {by: "X-Api-Key", size: 3_000, header: []string{"Cache-Control", "private, no-cache"}},
	"private-long":  {by: "X-Api-Key", size: 200_000, header: []string{"Cache-Control", "private"}},
	"no-store":      {by: "X-Api-Key", size: 30_000, header: []string{"Cache-Control", "no-store"}},
	"cookie-set":    {by: "X-Api-Key", size: 30_000, header: []string{"Set-Cookie", "a=b", "Cache-Control", "max-age=9"}},
	"star":          {by: "X-Api-Key", size: 30_000, header: []string{"Vary", "*", "Cache-Control", "max-age=9"}},
	"cookie":        {by: "Cookie", size: 30_000, header: []string{"Cache-Control", "private"}},
	"cookie-long":   {by: "Cookie", size: 200_000, header: []string{"Vary", "Cookie", "Cache-Control", "max-age=9"}},
	"missing":       {by: "X-Api-Key", size: 300, status: 404, header: []string{"Cache-Control", "private"}},
	"missing-lang":  {by: "X-Lang", size: 300, status: 404, header: []string{"Vary", "X-Lang"}},
	"long":          {size: 5 << 20, header: []string{"Cache-Control", "max-age=9"}},
	"long-lang":     {by: "X-Lang", size: 3 << 20, header: []string{"Vary", "X-Lang", "Cache-Control", "max-age=9"}},
	"long-weak":     {size: 3 << 20, weak: true, header: []string{"Cache-Control", "max-age=9", "ETag", `W/"1"`}},
	"long-second":   {size: 3 << 20, weak: true, header: []string{"Cache-Control", "max-age=9", "Last-Modified", "now"}},
	"moody":         {by: "X-Api-Key", size: 3_000, header: []string{"Cache-Control", "moody"}}, // see moody
}

// labelled is a body whose blocks of 16 bytes name its owner, its version, and their position.
type labelled struct {
	owner, version uint32
	off, size      int64
}

func (l *labelled) Read(p []byte) (n int, err error) {
	for n < len(p) && l.off < l.size {
		block := l.block(l.off / 16)
		c := copy(p[n:min(int64(len(p)), int64(n)+l.size-l.off)], block[l.off%16:])
		n, l.off = n+c, l.off+int64(c)
	}
	if n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (l *labelled) block(i int64) (b [16]byte) {
	binary.BigEndian.PutUint32(b[0:], l.owner)
	binary.BigEndian.PutUint32(b[4:], l.version)
	binary.BigEndian.PutUint64(b[8:], uint64(i))
	return b
}

func (l *labelled) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		l.off = off
	case io.SeekCurrent:
		l.off += off
	case io.SeekEnd:
		l.off = l.size + off
	}
	return l.off, nil
}

// ownerOf is a number for the path and for the value of the field by which its answers differ.
func ownerOf(path string, value []string) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, path, "|", strings.Join(value, ","))
	return h.Sum32()
}

// owners is an origin that answers by properties, and makes new versions now and then.
type owners struct {
	version atomic.Uint32
	asked   atomic.Int64
}

func (o *owners) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	kind := strings.Split(r.URL.Path, "/")[1]
	p := properties[kind]
	body := &labelled{ownerOf(r.URL.Path, r.Header[p.by]), o.version.Load(), 0, int64(p.size)}
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("X-Owner", fmt.Sprint(body.owner))
	if !p.weak {
		h.Set("ETag", fmt.Sprintf(`"%d-%d"`, body.owner, body.version))
	}
	for i := 0; i < len(p.header); i += 2 {
		h.Add(p.header[i], p.header[i+1])
	}
	if h.Get("Last-Modified") != "" {
		h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	}
	if kind == "moody" {
		moody(h)
	}
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	if p.status != 0 {
		w.WriteHeader(p.status)
		io.Copy(w, body)
		return
	}
	if rand.IntN(4) == 0 && r.Header.Get("Range") == "" { // without a length
		r.Header = http.Header{"If-None-Match": r.Header["If-None-Match"]}
		if r.Header.Get("If-None-Match") != h.Get("ETag") && p.size < 1<<20 {
			w.(http.Flusher).Flush()
			io.Copy(w, body)
			return
		}
	}
	http.ServeContent(w, r, "", time.Time{}, body)
}

// moody says in a different way at each request that an answer is one viewer's, also in a 304.
func moody(h http.Header) {
	switch h.Del("Cache-Control"); rand.IntN(4) {
	case 0:
		h.Set("Vary", "X-Api-Key")
		h.Set("Cache-Control", "no-cache")
	case 1:
		h.Set("Cache-Control", "private")
	case 2:
		h.Set("Vary", "*")
	case 3:
		h.Set("Vary", "x-lang, x-api-key")
		h.Set("Cache-Control", "max-age=0, stale-while-revalidate=9, stale-if-error=9")
	}
}

// stressed is one of several viewers of a front, with a key, a language and a cookie of its own.
type stressed struct {
	t     *testing.T
	url   string
	c     *http.Client
	i     int
	tags  map[string]string
	bytes int64
}

// ask makes one random request and checks everything that comes.
func (v *stressed) ask(path string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		return err
	}
	p := properties[strings.Split(path, "/")[1]]
	r.Header.Set("X-Api-Key", fmt.Sprint("key", v.i))
	r.Header.Set("X-Lang", fmt.Sprint("lang", v.i%3))
	if p.by == "Cookie" || rand.IntN(8) == 0 {
		r.Header.Set("Cookie", fmt.Sprint("user=", v.i))
	}
	if rand.IntN(8) == 0 {
		r.Method = http.MethodHead
	}
	switch from := rand.IntN(p.size); rand.IntN(6) {
	case 0:
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+rand.IntN(p.size)))
	case 1:
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	case 2:
		r.Header.Set("Range", fmt.Sprintf("bytes=-%d", from+1))
	}
	if tag := v.tags[path]; tag != "" && rand.IntN(3) == 0 {
		r.Header.Set([]string{"If-None-Match", "If-Range", "If-Match"}[rand.IntN(3)], tag)
	}
	if rand.IntN(20) == 0 {
		time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, cancel)
	}
	resp, err := v.c.Do(r)
	if err != nil {
		return leftEarly(ctx, err)
	}
	defer resp.Body.Close()
	owner := ownerOf(path, r.Header[p.by])
	if got := resp.Header.Get("X-Owner"); got != fmt.Sprint(owner) {
		return fmt.Errorf("%s %d: the header of %s, not of %d", resp.Status, v.i, got, owner)
	}
	v.tags[path] = resp.Header.Get("ETag")
	if r.Method == http.MethodHead {
		return nil
	}
	return v.check(ctx, resp, &labelled{owner: owner, size: int64(p.size)})
}

// check reads a body, whole or in part.
func (v *stressed) check(ctx context.Context, resp *http.Response, want *labelled) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
	case http.StatusPartialContent:
		from, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "-")
		off, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return err
		}
		want.off = off
	case http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return nil
	default:
		return errors.New(resp.Status)
	}
	buf, known, left := make([]byte, 32<<10), false, -1
	if rand.IntN(20) == 0 {
		left = rand.IntN(100_000) // resets
	}
	for off := want.off; ; {
		n, err := io.ReadFull(resp.Body, buf)
		for i := 0; i < n; {
			at := off + int64(i)
			block := want.block(at / 16)
			part := buf[i:min(i+16-int(at%16), n)]
			switch {
			case !known && at%16 == 0 && len(part) >= 8:
				want.version, known = binary.BigEndian.Uint32(part[4:]), true
				block = want.block(at / 16)
			case !known: // before the first whole block, any version is possible
				for j := range part {
					if b := int(at%16) + j; b >= 4 && b < 8 {
						block[b] = part[j]
					}
				}
			}
			if !bytes.Equal(part, block[at%16:][:len(part)]) {
				return fmt.Errorf("%s for %d: of the bytes from %d on one is of another body: %x", resp.Status, v.i, at, part)
			}
			i += len(part)
		}
		off, v.bytes = off+int64(n), v.bytes+int64(n)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			if end := resp.ContentLength; end >= 0 && off-want.off != end {
				return nil // it broke off, and the client knows
			}
			return nil
		case err != nil:
			return leftEarly(ctx, err)
		case left >= 0 && off > int64(left):
			return nil
		}
	}
}

// leftEarly is the error of a request that the viewer cancelled, or that the front broke off.
func leftEarly(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "EOF") || strings.Contains(err.Error(), "reset") {
		return nil
	}
	return err
}

// Eight viewers with keys, cookies and languages of their own ask for the same paths at once, while versions change and keys
// are purged. Nobody ever gets a byte or a field of another's answer, nor two versions in one body.
func TestNobodyGetsAnotherViewersAnswer(t *testing.T) {
	fronts, rooms := []string{"ReverseProxy", "origin.Proxy", "origin.Proxy and rangeserve"}, []int64{0, 1, 64}
	each := *stress / time.Duration(len(fronts)*len(rooms))
	for _, front := range fronts {
		for _, mib := range rooms {
			t.Run(fmt.Sprintf("%s, %d MiB", front, mib), func(t *testing.T) { stressOwners(t, front, mib<<20, each) })
		}
	}
}

func stressOwners(t *testing.T, front string, room int64, atLeast time.Duration) {
	o := &owners{}
	upstream := httptest.NewServer(o)
	defer upstream.Close()
	base := &http.Transport{MaxIdleConnsPerHost: 100}
	defer base.CloseIdleConnections()
	c := &cache.Transport{Base: base, MaxBody: 64 << 10}
	if room > 0 {
		c.Store = cache.NewMemory(room)
	}
	px := httptest.NewServer(ownersFront(t, front, upstream.URL, c))
	defer px.Close()

	var paths []string
	for kind := range properties {
		paths = append(paths, "/"+kind+"/1.mp4", "/"+kind+"/2.mp4")
	}
	const viewers = 8
	begun := time.Now()
	more := func(round int) bool { // a machine under load, with the race detector, makes fewer rounds
		took := time.Since(begun)
		return round < 4 || round < 20 && took < 10*time.Second || took < atLeast
	}
	var wg sync.WaitGroup
	var asked, got atomic.Int64
	var round atomic.Int64
	for i := range viewers {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
			defer client.CloseIdleConnections()
			v := &stressed{t: t, url: px.URL, c: client, i: i, tags: map[string]string{}}
			for n := 0; more(n) && !t.Failed(); n++ {
				// All viewers ask for the same path at about the same time.
				now := int(round.Add(1)) / viewers
				path := paths[(now*7+now/len(paths))%len(paths)]
				if err := v.ask(path); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				asked.Add(1)
				switch rand.IntN(40) {
				case 0:
					o.version.Add(1)
				case 1:
					c.Purge(context.Background(), upstream.URL+path)
				case 2:
					c.PurgePrefix(context.Background(), upstream.URL+path[:strings.LastIndex(path, "/")])
				}
			}
			got.Add(v.bytes)
		})
	}
	wg.Wait()
	s := c.Stats()
	t.Logf("%d requests, %d MiB, %d of the origin; %d hits, %d joins, %d misses, %d passed, %d confirmed",
		asked.Load(), got.Load()>>20, o.asked.Load(), s.Hits, s.Joins, s.Misses, s.Passed, s.Revalidations)
	require.Eventually(t, func() bool { return c.Stats().Fills == 0 }, time.Minute, 10*time.Millisecond)
}

func ownersFront(t *testing.T, front, upstream string, c *cache.Transport) http.Handler {
	if front == "ReverseProxy" {
		u, err := url.Parse(upstream)
		require.NoError(t, err)
		return &httputil.ReverseProxy{
			Transport: c, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) },
			ErrorLog:     log.New(io.Discard, "", 0),
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { panic(http.ErrAbortHandler) },
		}
	}
	var h http.Handler = &origin.Proxy{
		Transport: c, Upstream: func(u *url.URL) (string, error) { return upstream + u.RequestURI(), nil },
		Header: append(origin.DefaultHeader(), "X-Api-Key", "X-Lang", "Cookie"), ResponseHeader: []string{"X-Owner"},
		OnFailure: func(*http.Request, error) {},
	}
	if strings.HasSuffix(front, "rangeserve") {
		h = rangeserve.Handler(h)
	}
	return h
}
