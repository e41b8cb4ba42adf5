package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

func do(t *testing.T, method, target string, header ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	require.NoError(t, err)
	r.SetBasicAuth("anyone", "k")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func get(t *testing.T, target string, header ...string) (int, string) {
	t.Helper()
	resp, body, err := do(t, "GET", target, header...)
	require.NoError(t, err)
	return resp.StatusCode, body
}

// listed are the links of the page, with the names of the films.
func listed(t *testing.T, base string) (links, names []string) {
	t.Helper()
	status, page := get(t, base)
	require.Equal(t, 200, status, page)
	return filmstest.Links(page), filmstest.Names(page)
}

// crawl plays a playlist: it fetches everything that the playlist names, and returns all bodies but those of playlists.
func crawl(t *testing.T, base, link string) (bodies []string) {
	t.Helper()
	status, body := get(t, base+link)
	require.Equal(t, 200, status, "%s: %s", link, body)
	if !strings.HasPrefix(body, "#EXTM3U") {
		return []string{body}
	}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if m := regexp.MustCompile(`URI="([^"]*)"`).FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			bodies = append(bodies, crawl(t, base, line)...)
		}
	}
	return bodies
}

const media = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg.ts\n#EXT-X-ENDLIST\n"

func upload(t *testing.T, base, name string, film []byte) (*http.Response, string) {
	t.Helper()
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("film", name)
	require.NoError(t, err)
	part.Write(film)
	require.NoError(t, parts.Close())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/upload", &form)
	require.NoError(t, err)
	r.Header.Set("Content-Type", parts.FormDataContentType())
	r.SetBasicAuth("anyone", "k")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

func TestAFilmGoesInAndPlays(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "film.mp4")
	text, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=5:size=64x64", "-f", "lavfi", "-i", "sine", "-t", "9",
		"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", file).CombinedOutput()
	require.NoError(t, err, "%s", text)
	film, err := os.ReadFile(file)
	require.NoError(t, err)

	g := newGateway(t)
	work := t.TempDir()
	base := start(t, g.flags(t, "-work", work)...)
	resp, body := upload(t, base, "Füße & mehr.mp4", film)
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)
	link := strings.TrimSpace(body)
	require.Regexp(t, `^/play/F%C3%BC%C3%9Fe---mehr~[a-z0-9]{8}/index\.m3u8\?`, link)
	require.GreaterOrEqual(t, len(crawl(t, base, link)), 3)
	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing stays on the disk")

	for _, key := range g.keys(t) {
		info, err := g.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
		require.NoError(t, err)
		want := map[string][2]string{
			".m3u8": {"application/vnd.apple.mpegurl", "public, max-age=60"}, ".ts": {"video/mp2t", "public, max-age=31536000, immutable"},
			".mp4": {"video/mp4", "public, max-age=31536000, immutable"},
		}[filepath.Ext(key)]
		require.Equal(t, want, [2]string{info.ContentType, info.Metadata.Get("Cache-Control")}, key)
	}
	links, names := listed(t, base)
	require.Equal(t, []string{"Füße---mehr"}, names)
	require.Equal(t, link, links[0])
	_, page := get(t, base)
	original := html.UnescapeString(regexp.MustCompile(`class="also" value="([^"]*)"`).FindStringSubmatch(page)[1])
	resp, body, err = do(t, "GET", base+original, "Range", "bytes=-100")
	require.NoError(t, err)
	require.Equal(t, 206, resp.StatusCode)
	require.Equal(t, string(film[len(film)-100:]), body, "seeking in the film itself")

	path := html.UnescapeString(regexp.MustCompile(`data-path="([^"]*)"`).FindStringSubmatch(page)[1])
	resp, _, _ = do(t, "DELETE", base+path, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	resp, body, err = do(t, "DELETE", base+path)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode, body)
	require.Empty(t, g.keys(t))
	_, names = listed(t, base)
	require.Empty(t, names)
	status, _ := get(t, base+link)
	require.Equal(t, 404, status, "nor does the cache keep it")
}

// Other uploaders have other names, and leave other types.
func TestForeignObjectsPlay(t *testing.T) {
	g := newGateway(t)
	names := []string{"a b", "a+b", "50% off", "ü&é=1", "x#y", "q?z", "semi;colon", "~tilde", "quote'\"", "plain"}
	for i, name := range names {
		for key, text := range map[string]string{
			"index.m3u8": strings.ReplaceAll(media, "seg.ts", "part%20one+two%25.ts"), "part one+two%.ts": "segment " + strconv.Itoa(i),
		} {
			_, err := g.PutObject(t.Context(), bucket, name+"/"+key, strings.NewReader(text), int64(len(text)),
				minio.PutObjectOptions{ContentType: "binary/octet-stream", ContentEncoding: "aws-chunked"})
			require.NoError(t, err)
		}
	}
	g.put(t, "one film.mp4", "0123456789", "binary/octet-stream")
	g.put(t, "notes.txt", "", "text/plain")
	g.put(t, "empty/notes.txt", "", "text/plain")
	base := start(t, g.flags(t)...)
	links, found := listed(t, base)
	require.Len(t, found, len(names)+1)
	for _, link := range links {
		if strings.Contains(link, "one%20film.mp4") {
			status, body := get(t, base+link, "Range", "bytes=2-4")
			require.Equal(t, 206, status)
			require.Equal(t, "234", body)
			continue
		}
		require.Regexp(t, `^segment \d$`, crawl(t, base, link)[0], link)
	}
}

func TestWithoutALinkTheStoreIsNotAsked(t *testing.T) {
	g := newGateway(t)
	g.put(t, "f/index.m3u8", media, "")
	g.put(t, "f/seg.ts", "segment", "")
	base := start(t, g.flags(t)...)
	links, _ := listed(t, base)
	before := g.connections.Load()
	g.cut(0) // so that a dial would show
	for _, path := range []string{"/play/f/index.m3u8", "/play/f/seg.ts", "/play/", "/play/f/seg.ts?X-Amz-Signature=x", strings.Replace(links[0], "index.m3u8", "seg.ts", 1), links[0] + "x"} {
		status, body := get(t, base+path)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", path, body)
	}
	require.Equal(t, before, g.connections.Load())
}

// Only the key of an object is signed for the store.
func TestOnlyObjectsAreSigned(t *testing.T) {
	var asked []string
	h := &signing{bucket: "http://store/films/", region: "r", credentials: credentials.NewStaticV4(access, secret, ""), base: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.String())
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})}
	for target, want := range map[string]string{
		"http://store/films/a/b.ts":         "GET http://store/films/a/b.ts",
		"http://store/films/a/b.ts?acl":     "GET http://store/films/a/b.ts",
		"http://store/films/a%2Bb+c%20d.ts": "GET http://store/films/a%2Bb%2Bc%20d.ts",
		"http://store/films/":               "", "http://store/films/?list-type=2": "", "http://store/films/a/": "", "http://store/other/a.ts": "",
		"http://store/films": "", "http://other/films/a.ts": "", "http://store/films/.uploading/x": "",
	} {
		asked = nil
		r, err := http.NewRequest(http.MethodGet, target, nil)
		require.NoError(t, err)
		resp, err := h.RoundTrip(r)
		if want == "" {
			require.ErrorIs(t, err, errNoObject, target)
			require.Empty(t, asked)
			continue
		}
		require.NoError(t, err, target)
		require.Equal(t, []string{want}, asked)
		require.Same(t, r, resp.Request)
	}
	for _, method := range []string{"PUT", "DELETE", "POST"} {
		_, err := h.RoundTrip(httptest.NewRequest(method, "http://store/films/a.ts", nil))
		require.Error(t, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newStore(t *testing.T, g *gateway) *store {
	t.Helper()
	o, ln, err := parse(append([]string{"-addr", "127.0.0.1:0"}, g.flags(t)...))
	require.NoError(t, err)
	ln.Close()
	s, err := openStore(t.Context(), o)
	require.NoError(t, err)
	return s
}

// made is a film as ffmpeg leaves it, with one segment of some size.
func made(t *testing.T, size int64) uploads.Film {
	t.Helper()
	dir := t.TempDir()
	film := uploads.Film{Title: "film", File: filepath.Join(dir, "film"), Ext: ".mp4", Folder: filepath.Join(dir, "hls")}
	require.NoError(t, os.MkdirAll(filepath.Join(film.Folder, "360p"), 0o755))
	for name, text := range map[string]string{
		film.File: "the film", film.Folder + "/index.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n360p/index.m3u8\n", film.Folder + "/360p/index.m3u8": media,
		film.Folder + "/360p/seg.ts": "",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	require.NoError(t, os.Truncate(film.Folder+"/360p/seg.ts", size))
	return film
}

func TestATitleOf300MegabytesGoesInParts(t *testing.T) {
	g := newGateway(t)
	p := &publisher{store: newStore(t, g), mark: ".uploading/x/"}
	film := made(t, 300_000_000)
	f, err := os.OpenFile(film.Folder+"/360p/seg.ts", os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("the end"), 300_000_000-7)
	require.NoError(t, errors.Join(err, f.Close()))
	last := 0
	key, err := p.publish(t.Context(), film, func(n int) { last = max(last, n) })
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, 99)
	require.Len(t, g.keys(t), 4, "and no mark is left")
	base := start(t, g.flags(t)...)
	links, _ := listed(t, base)
	require.Contains(t, links[0], key)
	_, body := get(t, base+links[0])
	_, body = get(t, base+regexp.MustCompile(`(?m)^/play/.*$`).FindString(body))
	status, body := get(t, base+regexp.MustCompile(`(?m)^/play/.*$`).FindString(body), "Range", "bytes=-7")
	require.Equal(t, 206, status)
	require.Equal(t, "the end", body)
}

// Playlists are stored last. If the store fails in between, it has no playlist without its segments.
func TestTheStoreGoesAwayInAnUpload(t *testing.T) {
	g := newGateway(t)
	s := newStore(t, g)
	p := &publisher{store: s, mark: ".uploading/x/"}
	g.cut(2 << 20)
	_, err := p.publish(t.Context(), made(t, 40<<20), func(int) {})
	require.Error(t, err)
	g.cut(-1)
	for _, key := range g.keys(t) {
		require.NotContains(t, key, ".m3u8")
	}
	titles, _, err := s.titles(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, titles)
	require.NoError(t, p.clean(t.Context()))
	require.Empty(t, g.keys(t))
}

// A process that is killed leaves a mark. By this mark, the next one finds what is left on disk and in the bucket.
func TestARestartClearsUp(t *testing.T) {
	g := newGateway(t)
	work := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(work, ".upload-1", "hls"), 0o755))
	flags := g.flags(t, "-work", work)
	o, ln, err := parse(append([]string{"-addr", "127.0.0.1:0"}, flags...))
	require.NoError(t, err)
	ln.Close()
	g.put(t, mark(o)+"film~1", "", "")
	g.put(t, "film~1/360p/seg.ts", "segment", "")
	g.put(t, "film~12/index.m3u8", media, "")
	g.put(t, ".uploading/other/film~12", "", "")
	base := start(t, flags...)
	require.ElementsMatch(t, []string{"film~12/index.m3u8", ".uploading/other/film~12"}, g.keys(t), "what others do is theirs")
	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	require.Empty(t, entries)
	_, names := listed(t, base)
	require.Equal(t, []string{"film"}, names)
}

func TestTheStoreGoesAwayInAPlay(t *testing.T) {
	g := newGateway(t)
	segment := make([]byte, 8<<20)
	rand.Read(segment)
	g.put(t, "f/index.m3u8", media, "")
	g.put(t, "f/seg.ts", string(segment), "video/mp2t")
	base := start(t, g.flags(t)...)
	links, _ := listed(t, base)
	_, body := get(t, base+links[0])
	link := base + regexp.MustCompile(`(?m)^/play/.*$`).FindString(body)
	g.cut(1 << 20)
	resp, body, err := do(t, "GET", link)
	require.True(t, err != nil || resp.StatusCode >= 500, "it breaks off, and loudly: %d bytes of %d", len(body), len(segment))
	g.cut(-1)
	status, body := get(t, link)
	require.Equal(t, 200, status)
	require.True(t, body == string(segment))
}

func TestWhatIsWrongAtStart(t *testing.T) {
	g := newGateway(t)
	flags := func(change ...string) []string {
		return append(g.flags(t, "-addr", "127.0.0.1:0"), change...)
	}
	for says, args := range map[string][]string{
		"-secret-key":                {"-secret-key", "wrong"},
		"-access-key":                {"-access-key", "AKIAOTHER"},
		`-bucket "other"`:            {"-bucket", "other"},
		`-endpoint "http://h/p"`:     {"-endpoint", "http://h/p"},
		`-endpoint "http://127.0.0.`: {"-endpoint", "http://127.0.0.1:1"},
		"-cloudfront-domain":         {"-cloudfront-key-pair-id", "K"},
		"-cloudfront-key-file":       {"-cloudfront-domain", "https://h", "-cloudfront-key-pair-id", "K", "-cloudfront-key-file", "/does/not/exist"},
		`-work "/dev/null/x"`:        {"-work", "/dev/null/x"},
		`-region "mars-1"`:           {"-region", "mars-1"},
	} {
		require.Contains(t, servetest.Fails(t, run, flags(args...)...), says)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("HLSPROXY_KEY", "")
	for says, args := range map[string][]string{
		"-bucket is needed":       {"-key", "k"},
		"-key is needed":          {"-bucket", "b"},
		"an access key is needed": {"-bucket", "b", "-key", "k"},
		"-access-key and":         {"-bucket", "b", "-key", "k", "-access-key", "a"},
	} {
		require.Contains(t, servetest.Fails(t, run, args...), says)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("HLSPROXY_KEY", "k")
	start(t, "-endpoint", g.URL, "-bucket", bucket, "-work", t.TempDir())
}

// In a bubble it is the year 2000, and a real server does not accept that.
func TestClocksThatDiffer(t *testing.T) {
	g := newGateway(t)
	o, ln, err := parse(append([]string{"-addr", "127.0.0.1:0"}, g.flags(t)...))
	require.NoError(t, err)
	ln.Close()
	synctest.Test(t, func(t *testing.T) {
		store, err := openStore(t.Context(), o)
		require.Nil(t, store)
		require.ErrorContains(t, err, "the clocks of this machine and of the store differ")
		require.ErrorContains(t, err, "here it is 2000-01-01")
		h := &signing{base: &http.Transport{DisableKeepAlives: true}, bucket: g.URL + "/films/", region: "us-east-1", endpoint: g.URL, credentials: o.credentials}
		_, err = h.RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", g.URL+"/films/a.ts", nil))
		require.ErrorContains(t, err, "the clocks of this machine and of the store differ")
	})
}

// With CloudFront in front of the bucket, playlists come from this server, and segments from CloudFront, with one signature for
// a folder.
func TestByCloudFront(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600))
	g := newGateway(t)
	g.put(t, "a film/index.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n", "")
	g.put(t, "a film/low/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n1+1.m4s\n#EXTINF:4,\n2.m4s\n#EXT-X-ENDLIST\n", "")
	base := start(t, g.flags(t, "-cloudfront-domain", "https://d111111abcdef8.cloudfront.net", "-cloudfront-key-pair-id", "K2", "-cloudfront-key-file", keyFile)...)
	_, page := get(t, base)
	link := html.UnescapeString(regexp.MustCompile(`class="also" value="([^"]*)"[^>]*>by CloudFront`).FindStringSubmatch(page)[1])
	require.Regexp(t, `^/cloudfront/a%20film/index\.m3u8\?hpt=`, link)
	_, body := get(t, base+link)
	status, body := get(t, base+regexp.MustCompile(`(?m)^/cloudfront/a%20film/low/.*$`).FindString(body))
	require.Equal(t, 200, status)
	found := regexp.MustCompile(`https://d111111abcdef8\.cloudfront\.net/a%20film/low/(init\.mp4|1%2B1\.m4s|2\.m4s)\?Policy=([^&"\n]*)&Signature=[^&"\n]*&Key-Pair-Id=K2`).FindAllStringSubmatch(body, -1)
	require.Len(t, found, 3, body)
	for _, m := range found {
		require.Equal(t, found[0][2], m[2], "one policy for all")
	}
	for path, want := range map[string]int{"/cloudfront/a%20film/low/index.m3u8": 403, "/cloudfront/a%20film/low/2.m4s": 403, strings.Replace(link, "index.m3u8", "x.m4s", 1): 403} {
		status, _ := get(t, base+path)
		require.Equal(t, want, status, path)
	}
}

func TestThousandsOfTitles(t *testing.T) {
	g := newGateway(t)
	const many = 2345
	for i := range many {
		dir := filepath.Join(g.dir, "title "+strconv.Itoa(i))
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "index.m3u8"), []byte(media), 0o644))
	}
	base := start(t, g.flags(t)...)
	seen, pages := map[string]bool{}, 0
	for next := "/"; next != ""; pages++ {
		status, page := get(t, base+next)
		require.Equal(t, 200, status)
		for _, name := range filmstest.Names(page) {
			require.False(t, seen[name], name)
			seen[name] = true
		}
		next = ""
		if m := regexp.MustCompile(`<a href="(/\?after=[^"]*)">`).FindStringSubmatch(page); m != nil {
			next = html.UnescapeString(m[1])
		}
	}
	require.Len(t, seen, many)
	require.Equal(t, (many+onePage-1)/onePage, pages)
}

func TestTheDocumentsOfThePageAreRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/object-store.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	require.Len(t, blocks, 4)
	actions := map[string]bool{}
	for _, b := range blocks {
		var doc struct {
			Version   string
			Statement []struct {
				Effect, Resource string
				Action           any
			}
			Rules []struct{ ID, Status string }
		}
		require.NoError(t, json.Unmarshal(b[1], &doc), "%s", b[1])
		require.True(t, len(doc.Rules) == 1 || doc.Version == "2012-10-17" && len(doc.Statement) > 0, "%s", b[1])
		for _, s := range doc.Statement {
			require.Equal(t, "Allow", s.Effect)
			require.Regexp(t, `^arn:aws:s3:::films(/\*)?$`, s.Resource)
			if list, ok := s.Action.([]any); ok {
				for _, a := range list {
					actions[a.(string)] = true
				}
			}
		}
	}
	for _, a := range []string{"ListBucket", "GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"} { // which store.go needs
		require.True(t, actions["s3:"+a], a)
	}
}
