package e2e

import (
	"embed"
	"encoding/json"
	"errors"
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

// browser plays for all tests, without a window. Nothing drives it: its page requests jobs from the test and reports.
type browser struct {
	program string
	command func(program, profile, page string) (*exec.Cmd, error)

	once   sync.Once
	err    error
	page   *httptest.Server
	jobs   chan job
	opened chan struct{} // closed when the page asks for its first job
	asks   sync.Once
	killed func()

	mu      sync.Mutex
	last    int
	reports map[int]report
}

type job struct {
	ID          int     `json:"id"`
	Player      string  `json:"player"`
	URL         string  `json:"url"`
	Credentials bool    `json:"credentials"`
	Plan        string  `json:"plan"` // "through": seek ahead after the beginning, then play to the end
	Seek        float64 `json:"seek"` // to where, in seconds
	Look        string  `json:"look"` // what of a shape is to be tried beyond its picture
	Page        bool    `json:"page"` // to be opened as it is, rather than played
	Done        bool    `json:"done"`
}

var (
	theBrowser = newBrowser("chromium", chromium)
	theFirefox = newBrowser("firefox-esr", firefox)
)

func newBrowser(program string, command func(program, profile, page string) (*exec.Cmd, error)) *browser {
	return &browser{program: program, command: command, jobs: make(chan job, 1000), opened: make(chan struct{}), reports: map[int]report{}}
}

//go:embed testdata
var pages embed.FS

// scripts are the players that the page loads, by the name in its URL.
var scripts = map[string]string{
	"hls.js":   "node_modules/hls.js/dist/hls.min.js",
	"shaka.js": "node_modules/shaka-player/dist/shaka-player.compiled.js",
	"video.js": "node_modules/video.js/dist/video.min.js",
}

// play starts hls.js on a URL until the test ends. The page is on another port than any example.
func play(t testing.TB, url string, credentials bool) *playing {
	t.Helper()
	return theBrowser.do(t, job{Player: "hls.js", URL: url, Credentials: credentials})
}

// visit opens a page of an example until the test ends. The page reports nothing. The test watches its requests.
func visit(t testing.TB, url string) {
	t.Helper()
	theBrowser.do(t, job{URL: url, Page: true})
}

func (b *browser) do(t testing.TB, j job) *playing {
	t.Helper()
	requireTool(t, b.program)
	requireHLSJS(t)
	id, err := b.open(j)
	require.NoError(t, err)
	t.Cleanup(func() { b.close(id) })
	return &playing{t, b, id}
}

// ready starts the browser, once, and waits until it has opened its page. A busy machine may need minutes for that.
func (b *browser) ready() error {
	b.once.Do(func() {
		if b.err = b.start(); b.err != nil {
			return
		}
		select {
		case <-b.opened:
		case <-time.After(5 * time.Minute):
			b.err = errors.New(b.program + " does not open its page")
		}
	})
	return b.err
}

// open begins a job that runs until it is closed.
func (b *browser) open(j job) (int, error) {
	if err := b.ready(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	b.last++
	j.ID = b.last
	b.mu.Unlock()
	b.jobs <- j
	return j.ID, nil
}

func (b *browser) close(id int) { b.jobs <- job{ID: id, Done: true} }

// origin is the origin of the page in the sense of browsers.
func (b *browser) origin() string { return b.page.URL }

func (b *browser) start() error {
	mux := http.NewServeMux()
	for _, name := range []string{"desk.html", "player.html", "player.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, pages, "testdata/"+name) })
	}
	for name, file := range scripts {
		mux.HandleFunc("GET /players/"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	mux.HandleFunc("POST /job", b.handJob)
	mux.HandleFunc("POST /report", b.take)
	b.page = httptest.NewServer(mux)

	profile := filepath.Join(scratch, b.program)
	if err := os.Mkdir(profile, 0o700); err != nil {
		return err
	}
	cmd, err := b.command(b.program, profile, b.page.URL+"/desk.html")
	if err != nil {
		return err
	}
	cmd.Env = append(withoutProxy(), "HOME="+profile, "TMPDIR="+profile)
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
	b.asks.Do(func() { close(b.opened) })
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

func (b *browser) reported(id int) report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reports[id]
}
