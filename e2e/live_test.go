package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLivePlaysEveryShapeBySignedLinks(t *testing.T) {
	o := newOrigin(t, media(t))
	args := []string{"-origin", o.URL, "-allow", "127.0.0.0/8", "-cache", "256MiB", "-key", "SECRET"}
	for _, s := range shapes {
		args = append(args, "-link", "/live/"+s.playlist)
	}
	p := startExample(t, "live", args...)
	everyShape(t, func(s shape) string { return p.link(t, "/live/"+s.playlist+"?") })
	for _, r := range o.seen() {
		if !strings.HasPrefix(r.URL.RawQuery, "_HLS_") {
			require.Empty(t, r.URL.RawQuery, "a token reached the origin")
		}
	}
	require.Equal(t, 401, play(t, p.URL+"/live/ts/index.m3u8", false).fails().Code)
}

// The page plays the stream that stands after the # of its URL, with the HLS player of the browser.
func TestLiveHasAPageThatPlays(t *testing.T) {
	o := newOrigin(t, media(t))
	p := startExample(t, "live", "-origin", o.URL, "-allow", "127.0.0.0/8", "-key", "SECRET", "-link", "/live/ts/index.m3u8")
	visit(t, p.link(t, "/#/live/ts/index.m3u8?"))
	require.Eventually(t, func() bool { return o.asked("/ts/seg001.ts") > 0 }, time.Minute, 20*time.Millisecond)
}

func TestLivePlaysOnWhenAnOriginDies(t *testing.T) {
	for _, client := range []struct {
		name  string
		plays func(t *testing.T, link string, killed func())
	}{
		{"hls.js", func(t *testing.T, link string, kill func()) {
			p := play(t, link, false)
			p.shows(2)
			kill()
			p.shows(12)
		}},
		{"ffmpeg", func(t *testing.T, link string, kill func()) {
			time.AfterFunc(3*time.Second, kill)
			ffmpegPlaysFor(t, link, 14*time.Second)
		}},
	} {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			c := newChannel(t)
			a, b := startOrigin(t, c), startOrigin(t, c)
			s := startExample(t, "live", "-origin", a.URL, "-origin", b.URL, "-allow", "127.0.0.0/8", "-key", "SECRET")
			var left *origin
			var before int
			killed := make(chan struct{})
			client.plays(t, s.link(t, "/live/index.m3u8?"), func() {
				dying := a
				left = b
				if b.asked("") > a.asked("") {
					dying, left = b, a
				}
				before = left.asked("")
				dying.kill()
				close(killed)
			})
			<-killed
			require.Greater(t, left.asked(""), before+3, "the other origin took over")
		})
	}
}

// An endless body is passed on as it comes: here the second half comes only after the first has arrived at the viewer.
func TestLivePassesFLVOn(t *testing.T) {
	dir := media(t)
	file := filepath.Join(scratch, t.Name()+".flv")
	require.NoError(t, ffmpegMakes("-i", filepath.Join(dir, "src.mp4"), "-c", "copy", file))
	flv, err := os.ReadFile(file)
	require.NoError(t, err)
	arrived := make(chan struct{})
	o := startOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/x-flv")
		w.Write(flv[:len(flv)/2])
		http.NewResponseController(w).Flush()
		select {
		case <-arrived:
		case <-r.Context().Done():
		}
		w.Write(flv[len(flv)/2:])
	}))
	p := startExample(t, "live", "-origin", o.URL, "-allow", "127.0.0.0/8", "-cache", "64MiB")
	resp, err := http.Get(p.URL + "/live/stream.flv")
	require.NoError(t, err)
	defer resp.Body.Close()
	half := make([]byte, len(flv)/2)
	for n := 0; n < len(half); {
		m, err := resp.Body.Read(half[n:])
		require.NoError(t, err)
		n += m
	}
	close(arrived)
	require.Equal(t, frames, packets(t, p.URL+"/live/stream.flv"))
	ffmpegPlays(t, p.URL+"/live/stream.flv")
}

// The page plays streams without an end: MPEG-TS by a script from a CDN, whose digest it knows, and MP3 by the browser itself.
func TestLivePagePlaysStreamsWithoutAnEnd(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("/tv.ts", television(t))
	mux.Handle("/radio.mp3", radio(t))
	o := startOrigin(t, mux)
	s := startExample(t, "live", "-origin", o.URL, "-allow", "127.0.0.0/8", "-cache", "64MiB", "-link", "/live/tv.ts", "-link", "/live/radio.mp3")
	const plays = "document.querySelector('#trouble').innerText === '' && document.querySelector('video').currentTime > 2"
	p := openPageWith(t, withCDN(t), s.URL)
	p.shows("!!document.querySelector('#pool td')", "true") // its script has run
	p.press("#streams button[value='/live/tv.ts']")
	p.shows(plays+" && document.querySelector('video').videoWidth", "320")
	p.press("#streams button[value='/live/radio.mp3']")
	p.shows(plays+" && document.querySelector('video').videoWidth", "0")
	openFirefox(t, s.URL+"/#/live/radio.mp3").shows(plays, "true")
}

// withCDN are the options for a Chromium that takes this machine for the CDN of the pages.
func withCDN(t *testing.T) []string {
	cdn := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/npm/"), "/")
		name, _, _ = strings.Cut(name, "@")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeFile(w, r, filepath.Join("node_modules", name, file))
	}))
	t.Cleanup(cdn.Close)
	at := strings.TrimPrefix(cdn.URL, "https://")
	return []string{"--ignore-certificate-errors", "--host-resolver-rules=MAP cdn.jsdelivr.net " + at + " , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"}
}
