package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests see the pages as a viewer does who can reach only this machine: no script comes from a CDN.

func TestPagesSayWhyALinkDoesNotPlay(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, media(t))
	signed := startExample(t, "live", "-origin", o.URL, "-allow", "127.0.0.0/8", "-key", "SECRET")
	cors := startExample(t, "corsproxy", "-allow", "127.0.0.0/8")
	p := openPage(t, signed.URL+"/#/live/ts/index.m3u8")
	p.says("#trouble", "It does not play: the server answers 401")
	p.eval("location.hash = '/live/x.flv'")
	p.says("#trouble", "mpegts.js could not be loaded from cdn.jsdelivr.net")

	p = openPage(t, cors.URL)
	for target, says := range map[string]string{
		o.URL + "/none.m3u8":         "the proxy answers 404",
		"http://10.0.0.1/index.m3u8": "the proxy answers 403",
	} {
		p.shows("!!document.querySelector('form') && !document.querySelector('#trouble')", "true")
		p.eval(fmt.Sprintf("document.querySelector('input').value = %q", target))
		p.press("form button")
		p.says("#trouble", says)
		p.eval("location = '/'")
	}
}

// Both origins are dead until nothing is left to play. When they return, the picture comes back by itself, near the live edge.
func TestDemoPlaysOnAfterBothOriginsWereDead(t *testing.T) {
	t.Parallel()
	script, none := startExample(t, "demo", "-hlsjs", requireHLSJS(t)).URL, startExample(t, "demo").URL
	for name, open := range map[string]func(t testing.TB) *page{
		"the browser's own HLS": func(t testing.TB) *page { return openPage(t, script+"/?player=native") },
		"hls.js":                func(t testing.TB) *page { return openPage(t, script+"/?player=hls.js") },
		"the demo's own player": func(t testing.TB) *page { return openFirefox(t, none) }, // a browser without HLS and without a network
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			p.says("#playing", "640")
			p.says("#playing", name)
			p.says("#playing", " s behind live")
			for _, origin := range []string{"A", "B"} {
				p.press("[data-origin=" + origin + "] button")
				p.says("[data-origin="+origin+"]", "dead")
			}
			p.says("#trouble", "The player keeps trying.")
			for _, origin := range []string{"A", "B"} {
				p.press("[data-origin=" + origin + "] button")
			}
			p.shows(`(async () => {
				const video = document.querySelector('video'), at = video.currentTime
				await new Promise(r => setTimeout(r, 1000))
				return video.currentTime > at + 0.5 && video.videoWidth > 0
			})()`, "true")
			p.says("#playing", "640")
			p.shows("parseFloat(document.querySelector('#playing').innerText.split(' · ')[1]) < 20", "true")
		})
	}
}

// Without hls.js nothing plays MPEG-TS in Firefox: the banner says so, and what to do.
func TestDemoSaysWhatItCannotPlay(t *testing.T) {
	t.Parallel()
	p := openFirefox(t, startExample(t, "demo").URL)
	p.says("#playing", "the demo's own player")
	p.press("#shape input[value=ts]")
	p.says("#trouble", "Choose fMP4, or start the demo with -hlsjs FILE")
	p.press("#shape input[value=fmp4]")
	p.shows("document.querySelector('#trouble').hidden && document.querySelector('video').currentTime > 0", "true")
	p.press("#link")
	p.says("#trouble", "403: this link has expired, and nothing is left to play.")
	p.press("#link")
	p.shows("document.querySelector('#trouble').hidden && document.querySelector('video').currentTime > 0", "true")
}

func TestDemoButtonsBreakAndMend(t *testing.T) {
	t.Parallel()
	p := openPage(t, startExample(t, "demo", "-viewers", "0", "-hlsjs", requireHLSJS(t)).URL)
	p.says("#viewers .big", "1\nwatching")
	p.press("[data-crowd='25']")
	p.says("#viewers .big", "26\nwatching")
	p.press("#switch")
	p.says("#switch", "Switch it on")
	p.press("#switch")
	p.says("#switch", "Switch it off")
	p.press("[data-origin=A] button")
	p.says("[data-origin=A]", "dead")
	p.press("[data-origin=B] button")
	p.says("#trouble", "Both origins are dead.")
	p.press("[data-origin=A] button")
	p.press("[data-origin=B] button")
	p.shows("document.querySelector('#trouble').hidden", "true")
	p.press("#link")
	p.says("#said", "The link now answers 403")
	p.says("#trouble", "nothing is left to play")
	p.press("#link")
	p.shows("document.querySelector('#trouble').hidden", "true")
	p.press("[data-crowd='0']")
	p.says("#viewers .small", "a simulated crowd")
}

// upload lets the form of the page send a file, such as /vod/src.mp4, under another name.
func (p *page) upload(name, content string) {
	p.t.Helper()
	p.shows(fmt.Sprintf(`(async () => {
		const film = %s, files = new DataTransfer(), form = document.querySelector('form')
		files.items.add(new File([film], %q))
		form.elements.film.files = files.files
		form.requestSubmit()
		return 'sent'
	})()`, content, name), "sent")
}

func TestVODPageUploadsAndPlays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	film, err := os.ReadFile(filepath.Join(media(t), "src.mp4"))
	require.NoError(t, err)
	require.NoError(t, write(dir, "src.mp4", string(film)))
	p := openPage(t, startExample(t, "upload", "-dir", dir).URL)
	p.upload("bad.mp4", "'no film'")
	p.says("#jobs", "That is no film")
	p.upload("first.mp4", "await (await fetch('/vod/src.mp4')).blob()")
	p.says("#jobs", "done")
	p.press("#jobs .play:not([hidden])")
	p.shows("document.querySelector('video').currentTime > 1", "true")
	p.press("#films button[value^='/vod/first/']")
	p.shows("document.querySelector('video').currentTime > 1", "true")
	p.shows("document.querySelector('#films [aria-current=true]').textContent", "first")

	require.NoError(t, os.Remove(filepath.Join(dir, "src.mp4")))
	p.press("#films button[value^='/vod/src.mp4']")
	p.says("#trouble", "It does not play: the server answers 404")
}
