package e2e

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// report is what a page says of its player, several times a second.
type report struct {
	ID          int
	Played      float64 // seconds of media shown
	CurrentTime float64
	Frames      int
	Requests    int // playlists, segments and keys loaded
	Foreign     int // those of them from another origin than the page's
	Errors      []playerError
}

type playerError struct {
	Fatal         bool
	Type, Details string
	Code          int // HTTP status; 0 where the browser hides it, -1 where there is none
	Text          string
}

func (r report) fatal() *playerError {
	for _, e := range r.Errors {
		if e.Fatal {
			return &e
		}
	}
	return nil
}

type job struct {
	ID          int    `json:"id"`
	URL         string `json:"url"`
	Credentials bool   `json:"credentials"`
	Page        bool   `json:"page"` // to be opened as it is, rather than played
	Done        bool   `json:"done"`
}

// browser is one headless Chromium that plays for all tests. Nothing drives it: its page asks the test for work and
// reports.
type browser struct {
	once   sync.Once
	err    error
	page   *httptest.Server
	jobs   chan job
	killed func()

	mu      sync.Mutex
	last    int
	reports map[int]report
}

var theBrowser = browser{jobs: make(chan job, 100), reports: map[int]report{}}

//go:embed testdata
var pages embed.FS

// playing is a player that a test started.
type playing struct {
	t  testing.TB
	b  *browser
	id int
}

// play starts hls.js on a URL until the test ends. The page is on another port than any example.
func play(t testing.TB, url string, credentials bool) *playing {
	t.Helper()
	return theBrowser.do(t, job{URL: url, Credentials: credentials})
}

// visit opens a page of an example until the test ends. It reports nothing: what it does shows in what is asked for.
func visit(t testing.TB, url string) {
	t.Helper()
	theBrowser.do(t, job{URL: url, Page: true})
}

func (b *browser) do(t testing.TB, j job) *playing {
	t.Helper()
	program, player := requireTool(t, "chromium"), requireHLSJS(t)
	b.once.Do(func() { b.err = b.start(program, player) })
	require.NoError(t, b.err)
	b.mu.Lock()
	b.last++
	j.ID = b.last
	b.mu.Unlock()
	b.jobs <- j
	t.Cleanup(func() { b.jobs <- job{ID: j.ID, Done: true} })
	return &playing{t, b, j.ID}
}

// in is p as a part of the test sees it.
func (p *playing) in(t testing.TB) *playing { return &playing{t, p.b, p.id} }

// until waits for a report that satisfies ok, and fails the test after 40 s without one.
func (p *playing) until(what string, ok func(report) bool) report {
	p.t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if r := p.now(); ok(r) {
			return r
		}
	}
	p.t.Fatalf("never %s: %+v", what, p.now())
	return report{}
}

// shows waits until so many seconds of media have been shown, and requires that nothing fatal happened.
func (p *playing) shows(seconds float64) report {
	p.t.Helper()
	r := p.until(fmt.Sprintf("played %g s", seconds), func(r report) bool { return r.Played >= seconds || r.fatal() != nil })
	require.Nil(p.t, r.fatal(), "%+v", r)
	require.Positive(p.t, r.Frames)
	require.Positive(p.t, r.Foreign, "media comes from another origin than the page's")
	return r
}

// fails waits for a fatal error.
func (p *playing) fails() playerError {
	p.t.Helper()
	r := p.until("failed", func(r report) bool { return r.fatal() != nil || r.Played > 1 })
	require.NotNil(p.t, r.fatal(), "it plays: %+v", r)
	require.Zero(p.t, r.Frames)
	return *r.fatal()
}

func (p *playing) now() report {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return p.b.reports[p.id]
}

// origin is what the browser calls the origin of the page.
func (b *browser) origin() string { return b.page.URL }

func (b *browser) start(program, player string) error {
	mux := http.NewServeMux()
	for _, name := range []string{"desk.html", "player.html"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, pages, "testdata/"+name) })
	}
	mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, player) })
	mux.HandleFunc("POST /job", b.handJob)
	mux.HandleFunc("POST /report", b.take)
	b.page = httptest.NewServer(mux)

	profile := filepath.Join(scratch, "profile")
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-popup-blocking", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--autoplay-policy=no-user-gesture-required", "--mute-audio", "--window-size=1400,900",
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
		"--user-data-dir="+profile, b.page.URL+"/desk.html")
	cmd.Env = append(withoutProxy(), "HOME="+profile, "TMPDIR="+profile)
	if err := os.Mkdir(profile, 0o700); err != nil {
		return err
	}
	exited, err := spawn(cmd)
	if err != nil {
		return err
	}
	b.killed = func() {
		killGroup(cmd.Process)
		<-exited
	}
	return nil
}

func (b *browser) stop() {
	if b.killed != nil {
		b.killed()
	}
	if b.page != nil {
		b.page.CloseClientConnections()
		b.page.Close()
	}
}

func (b *browser) handJob(w http.ResponseWriter, r *http.Request) {
	select {
	case j := <-b.jobs:
		json.NewEncoder(w).Encode(j)
	case <-r.Context().Done():
	}
}

func (b *browser) take(w http.ResponseWriter, r *http.Request) {
	var got report
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports[got.ID] = got
}
