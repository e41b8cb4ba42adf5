package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A look is the picture of a page in few numbers: the mean colours of a grid of cells, so that fonts do not matter.
type look [gridHeight][gridWidth][3]int

const (
	gridWidth, gridHeight = 10, 12
	screenHeight          = 900
	near                  = 28                         // two colours are alike
	mostOff               = gridWidth * gridHeight / 5 // cells that may differ
	looksFile             = "testdata/looks.txt"
)

func lookOf(t testing.TB, shot []byte) (l look) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(shot))
	require.NoError(t, err)
	size := img.Bounds().Size()
	for y := range gridHeight {
		for x := range gridWidth {
			l[y][x] = mean(img, image.Rect(x*size.X/gridWidth, y*size.Y/gridHeight, (x+1)*size.X/gridWidth, (y+1)*size.Y/gridHeight))
		}
	}
	return l
}

func mean(img image.Image, cell image.Rectangle) (c [3]int) {
	for y := cell.Min.Y; y < cell.Max.Y; y++ {
		for x := cell.Min.X; x < cell.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			c[0], c[1], c[2] = c[0]+int(r>>8), c[1]+int(g>>8), c[2]+int(b>>8)
		}
	}
	n := cell.Dx() * cell.Dy()
	return [3]int{c[0] / n, c[1] / n, c[2] / n}
}

// off counts the cells in which two looks differ.
func (l look) off(other look) (n int) {
	for y := range l {
		for x, a := range l[y] {
			b := other[y][x]
			if max(abs(a[0]-b[0]), abs(a[1]-b[1]), abs(a[2]-b[2])) > near {
				n++
			}
		}
	}
	return n
}

func abs(n int) int { return max(n, -n) }

// String and parseLook write and read a look as a line for each row of cells, in hexadecimal.
func (l look) String() string {
	var b strings.Builder
	for _, row := range l {
		for _, c := range row {
			fmt.Fprintf(&b, "%02x%02x%02x ", c[0], c[1], c[2])
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func parseLook(text string) (l look) {
	for y, line := range strings.Split(strings.TrimSpace(text), "\n") {
		for x, cell := range strings.Fields(line) {
			fmt.Sscanf(cell, "%02x%02x%02x", &l[y][x][0], &l[y][x][1], &l[y][x][2])
		}
	}
	return l
}

// looks are the looks that a person has checked, by "PAGE WIDTH SCHEME".
func looks(t testing.TB) map[string]look {
	t.Helper()
	text, err := os.ReadFile(looksFile)
	if *update && os.IsNotExist(err) {
		return map[string]look{}
	}
	require.NoError(t, err)
	all := map[string]look{}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		name, cells, _ := strings.Cut(part, "\n")
		all[name] = parseLook(cells)
	}
	return all
}

// scene is a page in a state that does not change.
type scene struct{ name, url, ready string }

func scenes(t *testing.T) []scene {
	t.Helper()
	o := newOrigin(t, media(t))
	dir := t.TempDir()
	upload := startExample(t, "upload", "-dir", dir)
	resp, body := upload.upload(t, filepath.Join(media(t), "src.mp4"), "")
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)
	auth := startExample(t, "auth", "-origin", o.URL, "-allow", "127.0.0.0/8")
	_, said, _ := strings.Cut(auth.stdout.text(), "open ")
	sessions, _, _ := strings.Cut(said, " ")
	return []scene{
		{"demo", startExample(t, "demo", "-hlsjs", requireHLSJS(t)).URL + "/?player=hls.js", "document.querySelector('#playing').innerText.includes('640')"},
		{"corsproxy", startExample(t, "corsproxy", "-allow", "127.0.0.0/8").URL, "!!document.querySelector('form')"},
		{"live", startExample(t, "live", "-origin", o.URL, "-allow", "127.0.0.0/8", "-link", "/live/ts/index.m3u8", "-link", "/live/none.m3u8").URL,
			"document.querySelector('#streams').innerText.includes('404') && !!document.querySelector('#pool td')"},
		{"upload", upload.URL, "document.querySelector('#jobs').innerText.includes('done') && document.querySelector('#jobs img').naturalWidth > 0"},
		{"auth", sessions, "!!document.querySelector('#sessions h2')"},
	}
}

// TestPagesLookRight compares the pages, in two browsers, with looks that a person has checked. It also measures what must hold
// for every font: nothing is wider than the screen, all text contrasts with its background, and the keyboard reaches everything
// that can be pressed.
func TestPagesLookRight(t *testing.T) {
	t.Parallel()
	known, all := looks(t), scenes(t)
	var wrong []string
	shots := os.Getenv("HLSPROXY_SHOTS") // a folder for the pictures
	for browser, open := range map[string]func(testing.TB, string) *page{"Chromium": openPage, "Firefox": openFirefox} {
		p := open(t, "data:text/html,")
		for _, s := range all {
			for _, width := range []int{390, 820, 1280} {
				for _, scheme := range []string{"light", "dark"} {
					p.screen(width, screenHeight, scheme == "dark")
					p.open(s.url)
					p.shows(s.ready, "true")
					name := fmt.Sprint(s.name, " ", width, " ", scheme)
					if bad := p.eval(judge); bad != "" {
						wrong = append(wrong, fmt.Sprintf("%s in %s: %s", name, browser, bad))
					}
					p.eval("document.querySelectorAll('video, svg').forEach(e => e.style.visibility = 'hidden')")
					shot := p.shot()
					if shots != "" {
						require.NoError(t, os.WriteFile(filepath.Join(shots, browser+" "+name+".png"), shot, 0o644))
					}
					seen := lookOf(t, shot)
					if *update && browser == "Chromium" {
						known[name] = seen
					}
					if n := known[name].off(seen); n > mostOff {
						wrong = append(wrong, fmt.Sprintf("%s in %s: %d cells look different; now:\n%s", name, browser, n, seen))
					}
				}
			}
			if bad := p.reachesAll(); bad != "" {
				wrong = append(wrong, fmt.Sprintf("%s in %s: the keyboard does not reach, or does not show: %s", s.name, browser, bad))
			}
		}
	}
	if *update {
		var b strings.Builder
		for _, s := range all {
			for _, width := range []int{390, 820, 1280} {
				for _, scheme := range []string{"light", "dark"} {
					name := fmt.Sprint(s.name, " ", width, " ", scheme)
					fmt.Fprintf(&b, "%s\n%s\n", name, known[name])
				}
			}
		}
		require.NoError(t, os.WriteFile(looksFile, []byte(strings.TrimSuffix(b.String(), "\n")), 0o644))
	}
	require.Empty(t, wrong, strings.Join(wrong, "\n"))
}

// A page in the colours of the other scheme, or without any, must not pass.
func TestLooksAreToldApart(t *testing.T) {
	known := looks(t)
	require.Len(t, known, 5*3*2)
	for name, l := range known {
		require.Zero(t, l.off(parseLook(l.String())))
		if other, ok := strings.CutSuffix(name, "light"); ok {
			require.Greater(t, l.off(known[other+"dark"]), mostOff, name)
		}
		require.Greater(t, l.off(look{}), mostOff/8, name)
	}
}

// judge returns the faults of a page that can be measured, or "".
const judge = `(() => {
	const wrong = []
	if (document.documentElement.scrollWidth > innerWidth) wrong.push('it is ' + document.documentElement.scrollWidth + ' wide')
	const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
	const colour = text => text.match(/[\d.]+/g).map(Number)
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = colour(getComputedStyle(e).backgroundColor)
			if ((c[3] ?? 1) > 0.9) return c
		}
		return [255, 255, 255]
	}
	for (const e of document.body.querySelectorAll('*')) {
		const said = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('')
		if (!said || !e.checkVisibility() || e.closest('svg, script, style, option') || e.matches(':disabled')) continue
		const a = light(colour(getComputedStyle(e).color)), b = light(behind(e)), contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
		const font = getComputedStyle(e), size = parseFloat(font.fontSize), large = size >= 24 || size >= 18.6 && font.fontWeight >= 700
		if (contrast < (large ? 3 : 4.5)) wrong.push('"' + said.slice(0, 40) + '" has a contrast of ' + contrast.toFixed(2))
		const box = e.getBoundingClientRect()
		if (box.right > innerWidth + 1 && !e.closest('pre')) wrong.push('"' + said.slice(0, 40) + '" ends at ' + box.right)
	}
	for (const e of document.querySelectorAll('button, input:not([type=checkbox], [type=radio], [type=hidden]), select')) {
		if (e.checkVisibility() && e.getBoundingClientRect().height < 24) wrong.push((e.name || e.textContent) + ' is too small to be hit')
	}
	return wrong.join('; ')
})()`

// reachesAll goes through a page by the Tab key. It returns the elements that Tab does not reach, or that do not show the
// focus.
func (p *page) reachesAll() string {
	p.t.Helper()
	p.eval(`(() => {
		window.left = new Set([...document.querySelectorAll('a[href], button:enabled, input:enabled:not([type=hidden], [type=radio]:not(:checked)), select, textarea, summary, [tabindex="0"]')]
			.filter(e => e.checkVisibility()))
		window.dark = []
		document.activeElement?.blur()
		document.body.tabIndex = -1
		document.body.focus()
		document.body.removeAttribute('tabindex')
	})()`)
	for wait := time.Now().Add(20 * time.Second); time.Now().Before(wait); {
		p.key("Tab")
		left := p.eval(`(() => {
			const e = document.activeElement, shown = e.matches('[type=radio]') ? e.nextElementSibling : e
			if (left.delete(e) && getComputedStyle(shown).outlineStyle === 'none') dark.push(e.outerHTML)
			return left.size
		})()`)
		if left == "0" {
			break
		}
	}
	return p.eval(`[...left, ...dark].map(e => e.outerHTML ?? e + ' does not show that it has the focus').join('\n')`)
}
