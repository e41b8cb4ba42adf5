package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

// newKey writes a key as the console of CloudFront does, and returns the half that CloudFront has.
func newKey(t *testing.T) (*rsa.PublicKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return &key.PublicKey, file
}

func get(t *testing.T, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return servetest.Answer(t, r)
}

// film has a title that looks like a segment, an unusual line end, and none after its last line.
const film = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n\n# a remark\n" +
	"#EXT-X-KEY:METHOD=AES-128,URI=\"keys/1.key\",IV=0x01\n#EXT-X-MAP:URI=\"init.mp4\"\n" +
	"#EXTINF:6.000, intro.ts\r\n1.m4s\r\n#EXTINF:6,\n../film/2.m4s?x=1,2\n#EXTINF:6,\n/vod/film/3.m4s\n" +
	"#EXTINF:6,\nhttps://ads.example/4.ts\n#EXT-X-ENDLIST"

func TestAFolderBecomesSignedPlaylists(t *testing.T) {
	public, keyFile := newKey(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "film"), 0o700))
	master := "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfilm/index.m3u8\n"
	for name, text := range map[string]string{"film/index.m3u8": film, "master.m3u8": master, "film/1.m4s": "media", "note.m3u8": "no playlist"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	const domain = "https://d111111abcdef8.cloudfront.net/vod"
	base := start(t, "-dir", dir, "-domain", domain, "-key-pair-id", "K2", "-key-file", keyFile)

	resp, text := get(t, base+"/master.m3u8")
	require.Equal(t, 200, resp.StatusCode, text)
	require.Equal(t, strings.Replace(master, "film", "/film", 1), text, "the variant is signed here, when it is asked for")

	resp, text = get(t, base+"/film/index.m3u8", "Origin", "https://page.example", "Range", "bytes=0-")
	require.Equal(t, 200, resp.StatusCode, text)
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "application/vnd.apple.mpegurl", resp.Header.Get("Content-Type"))
	require.Contains(t, resp.Header.Get("Cache-Control"), "private", "no shared cache may keep what opens the film")
	links := found.FindAllString(text, -1)
	require.Len(t, links, 5)
	signatures := map[string]bool{}
	for _, link := range links {
		require.NoError(t, opens(public, link), link)
		signatures[param(link, "Signature")] = true
	}
	require.NotEmpty(t, signatures)
	require.LessOrEqual(t, len(signatures), 2, "one for the folder of the key, one for all else")
	plain := strings.NewReplacer(
		domain+"/film/keys/1.key", "keys/1.key", domain+"/film/init.mp4", "init.mp4", domain+"/film/1.m4s", "1.m4s",
		domain+"/film/2.m4s?x=1,2", "../film/2.m4s?x=1,2", domain+"/film/3.m4s", "/vod/film/3.m4s",
	).Replace(made.ReplaceAllString(text, ""))
	require.Equal(t, film, plain, "nothing changes but the links")

	for path, status := range map[string]int{
		"/film/1.m4s": 404, "/": 404, "/film/": 404, "/none.m3u8": 404, "/note.m3u8": 502, "/../main.m3u8": 404, "/%2e%2e/x.m3u8": 404,
	} {
		resp, _ := get(t, base+path)
		require.Equal(t, status, resp.StatusCode, path)
	}
	resp, err := http.Post(base+"/master.m3u8", "", nil)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestALongFilmCostsOneSignature(t *testing.T) {
	public, keyFile := newKey(t)
	o := faultorigin.New(t)
	text := "#EXTM3U\n" + strings.Repeat("#EXTINF:6,\nseg.ts\n", 1000) + "#EXT-X-ENDLIST\n"
	o.Handle("/a/index.m3u8", faultorigin.Script{Body: []byte(text)})
	base := start(t, "-origin", o.URL, "-domain", "https://d1.cloudfront.net/", "-allow", "127.0.0.0/8", "-key-pair-id", "K2", "-key-file", keyFile)
	_, got := get(t, base+"/a/index.m3u8")
	links := found.FindAllString(got, -1)
	require.Len(t, links, 1000)
	require.Equal(t, 1000, strings.Count(got, links[0]), "one signature")
	require.NoError(t, opens(public, links[0]))
	require.True(t, strings.HasPrefix(links[0], "https://d1.cloudfront.net/a/seg.ts?Policy="))
	require.True(t, strings.HasSuffix(got, "#EXT-X-ENDLIST\n"))
	_, again := get(t, base+"/a/index.m3u8")
	require.Equal(t, got, again, "a reload shows the same links")
	require.NotContains(t, o.Log()[0].URI, "Policy", "a signature is for CloudFront")
}

func TestPlaylistsThatCloudFrontGuards(t *testing.T) {
	public, keyFile := newKey(t)
	o := faultorigin.New(t)
	signedAlready := "#EXTM3U\n#EXTINF:6,\nb.ts?Policy=p&Signature=s&Key-Pair-Id=K1\n"
	o.Handle("/a/index.m3u8", faultorigin.Script{Body: []byte(signedAlready + "#EXTINF:6,\na.ts\n")})
	o.Handle("/gone.m3u8", faultorigin.Script{Status: 410})
	base := start(t, "-origin", o.URL, "-allow", "127.0.0.0/8", "-key-pair-id", "K2", "-key-file", keyFile)
	resp, text := get(t, base+"/a/index.m3u8")
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, opens(public, o.URL+o.Log()[0].URI), "it is fetched with a signature")
	require.NotContains(t, text, "Key-Pair-Id=K1", "another's signature is replaced")
	for _, link := range found.FindAllString(text, -1) {
		require.NoError(t, opens(public, link))
	}
	resp, _ = get(t, base+"/gone.m3u8")
	require.Equal(t, 410, resp.StatusCode)
	o.Server.Close()
	resp, text = get(t, base+"/a/index.m3u8")
	require.Equal(t, 502, resp.StatusCode)
	require.NotContains(t, text, "127.0.0.1")
}
