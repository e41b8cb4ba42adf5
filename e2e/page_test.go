package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A page is a page of an example in a browser of its own, which the test drives.
type page struct {
	t testing.TB
	driver
}

// A driver lets the test drive a browser.
type driver interface {
	// open goes to a URL.
	open(url string)
	// eval returns the value of a JavaScript expression as text, or "" while it throws, as it does before its elements exist.
	eval(js string) string
	// screen sets the size of the page in CSS pixels, and the colours that the viewer prefers.
	screen(width, height int, dark bool)
	// shot is a picture of the page, as PNG.
	shot() []byte
	// key presses a key: Tab, Enter, " ", ArrowLeft, ArrowRight or Escape.
	key(name string)
}

// devTools drives a Chromium over a pipe, by Chrome's DevTools protocol.
type devTools struct {
	t       testing.TB
	in      io.Writer
	out     *bufio.Reader
	session string
	last    int64
}

// openPage opens a URL in a Chromium of its own until the test ends.
func openPage(t testing.TB, url string) *page {
	t.Helper()
	return openPageWith(t, nil, url)
}

// openPageWith changes or adds options of Chromium.
func openPageWith(t testing.TB, options []string, url string) *page {
	t.Helper()
	profile := newProfile(t)
	cmd, err := chromium(requireTool(t, "chromium"), profile, "about:blank")
	require.NoError(t, err)
	for _, option := range options { // in place of those of the same name
		name, _, _ := strings.Cut(option, "=")
		cmd.Args = slices.DeleteFunc(cmd.Args, func(arg string) bool { return strings.HasPrefix(arg, name+"=") })
	}
	cmd.Args = slices.Concat(cmd.Args[:1], []string{"--remote-debugging-pipe"}, options, cmd.Args[1:])
	cmd.Env = append(withoutProxy(), "HOME="+profile, "TMPDIR="+profile)
	theirIn, in, err := os.Pipe()
	require.NoError(t, err)
	out, theirOut, err := os.Pipe()
	require.NoError(t, err)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, where Chromium looks for them
	exited, err := spawn(cmd)
	theirIn.Close()
	theirOut.Close()
	require.NoError(t, err)
	t.Cleanup(func() {
		killGroup(cmd.Process)
		<-exited
		in.Close()
		out.Close()
	})
	require.NoError(t, out.SetReadDeadline(time.Now().Add(5*time.Minute)))
	d := &devTools{t: t, in: in, out: bufio.NewReader(out)}
	var target struct{ TargetID string }
	d.call("Target.createTarget", map[string]any{"url": url}, &target)
	var attached struct{ SessionID string }
	d.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	d.session = attached.SessionID
	d.call("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, &struct{}{})
	p := &page{t: t, driver: d}
	p.shows("document.readyState", "complete")
	return p
}

// newProfile is a folder with a short name: the path of a socket in it must fit into 108 bytes.
func newProfile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// call calls a method of the protocol. It skips events.
func (d *devTools) call(method string, params map[string]any, result any) {
	d.t.Helper()
	require.Empty(d.t, d.try(method, params, result), method)
}

// try returns the error, if any.
func (d *devTools) try(method string, params map[string]any, result any) (failed string) {
	d.t.Helper()
	id := d.last + 1
	d.last = id
	message := map[string]any{"id": id, "method": method, "params": params}
	if d.session != "" {
		message["sessionId"] = d.session
	}
	text, err := json.Marshal(message)
	require.NoError(d.t, err)
	_, err = d.in.Write(append(text, 0))
	require.NoError(d.t, err)
	for {
		text, err := d.out.ReadBytes(0)
		require.NoError(d.t, err, method)
		var answer struct {
			ID     int64
			Result json.RawMessage
			Error  json.RawMessage
		}
		require.NoError(d.t, json.Unmarshal(text[:len(text)-1], &answer))
		if answer.ID == id {
			if answer.Error == nil {
				require.NoError(d.t, json.Unmarshal(answer.Result, result))
			}
			return string(answer.Error)
		}
	}
}

func (d *devTools) open(url string) {
	d.t.Helper()
	d.eval("window.before = true")
	d.call("Page.navigate", map[string]any{"url": url}, &struct{}{})
	for wait := time.Now().Add(time.Minute); d.eval("!window.before && document.readyState") != "complete" && time.Now().Before(wait); {
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *devTools) eval(js string) string {
	d.t.Helper()
	var got struct{ Result struct{ Value any } }
	// It also fails while another page replaces this one.
	d.try("Runtime.evaluate", map[string]any{"expression": "Promise.resolve(" + js + ").then(String)", "userGesture": true, "awaitPromise": true}, &got)
	if text, ok := got.Result.Value.(string); ok {
		return text
	}
	return ""
}

func (d *devTools) screen(width, height int, dark bool) {
	d.t.Helper()
	d.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, &struct{}{})
	scheme := map[string]any{"name": "prefers-color-scheme", "value": map[bool]string{true: "dark", false: "light"}[dark]}
	d.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{scheme}}, &struct{}{})
}

func (d *devTools) shot() []byte {
	d.t.Helper()
	var got struct{ Data []byte }
	d.call("Page.captureScreenshot", map[string]any{"format": "png"}, &got)
	return got.Data
}

func (d *devTools) key(name string) {
	d.t.Helper()
	text := map[string]string{"Enter": "\r", " ": " "}[name]
	code := map[string]int{"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Escape": 27}[name]
	for _, what := range []string{"keyDown", "keyUp"} {
		d.call("Input.dispatchKeyEvent", map[string]any{"type": what, "key": name, "text": text, "windowsVirtualKeyCode": code}, &struct{}{})
		text = ""
	}
}

// in is p as a part of the test sees it.
func (p *page) in(t testing.TB) *page { return &page{t, p.driver} }

// press clicks on an element.
func (p *page) press(selector string) {
	p.t.Helper()
	p.shows(fmt.Sprintf("!!document.querySelector(%q)", selector), "true")
	p.eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// says waits until the text of an element contains something.
func (p *page) says(selector, text string) {
	p.t.Helper()
	p.shows(fmt.Sprintf("document.querySelector(%q).innerText", selector), text)
}

// shows waits until the value of a JavaScript expression contains text.
func (p *page) shows(js, text string) {
	p.t.Helper()
	var got string
	for wait := time.Now().Add(2 * time.Minute); time.Now().Before(wait); time.Sleep(50 * time.Millisecond) {
		if got = p.eval(js); strings.Contains(got, text) {
			return
		}
	}
	require.Contains(p.t, got, text, js)
}
