package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// s3Programs are examples/s3 and an S3 server. Both are in a module of their own.
var s3Programs = sync.OnceValues(func() (gateway string, err error) {
	said, err := exec.Command("go", "build", "-C", "../examples/s3", "-o", filepath.Join(scratch, "bin", "s3"), ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	out, err := exec.Command("go", "tool", "-C", "../examples/s3", "-n", "versitygw").Output()
	return strings.TrimSpace(string(out)), err
})

// newBucket starts an S3 server until the test ends, and returns its URL and the folder of its one bucket, films.
func newBucket(t *testing.T, program string) (url, folder string) {
	t.Helper()
	root := t.TempDir()
	folder = filepath.Join(root, "data", "films")
	require.NoError(t, errors.Join(os.MkdirAll(folder, 0o755), os.Mkdir(filepath.Join(root, "meta"), 0o755)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	ln.Close()
	cmd := exec.Command(program, "--port", addr, "--access", "AKIATEST", "--secret", "the secret of the test", "--region", "us-east-1",
		"--quiet", "posix", "--sidecar", filepath.Join(root, "meta"), filepath.Join(root, "data"))
	startListening(t, cmd, addr)
	return "http://" + addr, folder
}

// edge stands for CloudFront in front of a bucket: it serves what a valid signature opens, and counts requests.
type edge struct {
	*httptest.Server
	key     *rsa.PublicKey
	files   http.Handler
	served  atomic.Int64
	refused atomic.Int64
}

func newEdge(t *testing.T, folder string, key *rsa.PublicKey) *edge {
	e := &edge{key: key, files: http.FileServer(http.Dir(folder))}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Content-Range, Content-Length")
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Headers", "Range")
		return
	}
	if err := e.check(r); err != nil {
		e.refused.Add(1)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	e.served.Add(1)
	if kind := map[string]string{".ts": "video/mp2t", ".m4s": "video/mp4", ".mp4": "video/mp4"}[path.Ext(r.URL.Path)]; kind != "" {
		w.Header().Set("Content-Type", kind) // as it was stored
	}
	e.files.ServeHTTP(w, r)
}

// check is the vendor's check: the policy is signed by RSA with SHA-1, and says by a wildcard what it opens, and until when.
func (e *edge) check(r *http.Request) error {
	text := func(name string) []byte {
		b, _ := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(r.URL.Query().Get(name)))
		return b
	}
	policy := text("Policy")
	sum := sha1.Sum(policy)
	if err := rsa.VerifyPKCS1v15(e.key, crypto.SHA1, sum[:], text("Signature")); err != nil {
		return err
	}
	var says struct {
		Statement []struct {
			Resource  string
			Condition struct {
				DateLessThan struct {
					Time int64 `json:"AWS:EpochTime"`
				}
			}
		}
	}
	if err := json.Unmarshal(policy, &says); err != nil || len(says.Statement) != 1 {
		return errors.New("no policy")
	}
	s := says.Statement[0]
	prefix, wild := strings.CutSuffix(s.Resource, "*")
	if !wild || !strings.HasPrefix("http://"+r.Host+r.URL.EscapedPath(), prefix) {
		return errors.New("another resource")
	}
	if r.URL.Query().Get("Key-Pair-Id") != "K2" || time.Now().Unix() >= s.Condition.DateLessThan.Time {
		return errors.New("another key, or too late")
	}
	return nil
}

// also finds the second link of a film on the page of examples/s3.
func (s *server) also(t *testing.T, key, way string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/", nil)
	require.NoError(t, err)
	r.SetBasicAuth("anyone", key)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	m := regexp.MustCompile(`class="also" value="([^"]*)"[^>]*>` + way).FindSubmatch(page)
	require.NotNil(t, m, "%s", page)
	return s.URL + html.UnescapeString(string(m[1]))
}

// A film goes into a private bucket through the page. Viewers get it in three ways: through the server, from the edge by links
// that are made with the playlist, and as the uploaded file, by ranges.
func TestFilmsOfAPrivateBucketPlay(t *testing.T) {
	film := filepath.Join(media(t), "src.mp4")
	gateway, err := s3Programs()
	require.NoError(t, err)
	url, folder := newBucket(t, gateway)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600))
	e := newEdge(t, folder, &key.PublicKey)
	p := startExample(t, "s3", "-endpoint", url, "-bucket", "films", "-region", "us-east-1", "-access-key", "AKIATEST",
		"-secret-key", "the secret of the test", "-key", "SECRET", "-work", t.TempDir(),
		"-cloudfront-domain", e.URL, "-cloudfront-key-pair-id", "K2", "-cloudfront-key-file", keyFile)
	resp, body := p.upload(t, film, "SECRET")
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)

	through, byEdge, file := p.URL+strings.TrimSpace(body), p.also(t, "SECRET", "by CloudFront"), p.also(t, "SECRET", "the film itself")
	for _, link := range []string{through, byEdge} {
		ffmpegPlays(t, link)
		require.Equal(t, frames, packets(t, link))
		require.NoError(t, ffmpegDecodes(t.Context(), frames*(length-seek)/length, "-ss", fmt.Sprint(seek), "-i", link, "-map", "0:v:0"))
		play(t, link, false).shows(3)
	}
	theBrowser.do(t, job{Player: "native", URL: through}).shows(3)
	theBrowser.do(t, job{Player: "native, CORS", URL: byEdge}).shows(3)
	require.Positive(t, e.served.Load())
	require.Zero(t, e.refused.Load())

	ffmpegPlays(t, file)
	require.NoError(t, ffmpegDecodes(t.Context(), frames*(length-seek)/length, "-ss", fmt.Sprint(seek), "-i", file, "-map", "0:v:0"))
	r := theBrowser.do(t, job{Player: "file", URL: file, Plan: "through", Seek: seek}).until("ended after a seek", func(r report) bool {
		return r.Ended || r.fatal() != nil
	})
	require.Nil(t, r.fatal(), "%+v", r)
	require.Less(t, r.Played, seek, "what lies between was not played")

	bare, _, _ := strings.Cut(through, "?")
	require.Equal(t, http.StatusForbidden, play(t, bare, false).fails().Code)
	ffmpegFails(t, bare)
	resp, err = http.Get(e.URL + "/" + strings.Split(bare, "/")[4] + "/original.mp4")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode, "the edge opens nothing without a signature")
}

// Chromium's own HLS plays segments of another origin than the playlist's, such as an edge, only in an element with
// crossorigin. This is so without a proxy, too.
func TestChromiumItselfAsksTwoOriginsForCORSOnly(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(media(t), "ts/index.m3u8"))
	require.NoError(t, err)
	there := startOrigin(t, withCORS(folder(media(t))))
	list := strings.ReplaceAll(string(text), "\nseg", "\n"+there.URL+"/ts/seg")
	here := startOrigin(t, withCORS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		io.WriteString(w, list)
	})))
	theBrowser.do(t, job{Player: "native", URL: there.URL + "/ts/index.m3u8"}).shows(3)
	theBrowser.do(t, job{Player: "native, CORS", URL: here.URL + "/index.m3u8"}).shows(3)
	theBrowser.do(t, job{Player: "native", URL: here.URL + "/index.m3u8"}).fails()
}
