package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A page is a page of an example in a Chromium of its own, which the test drives over a pipe, by Chrome's DevTools protocol.
type page struct {
	t       testing.TB
	in      io.Writer
	out     *bufio.Reader
	session string
	last    atomic.Int64
}

// openPage opens a URL until the test ends.
func openPage(t testing.TB, url string) *page {
	t.Helper()
	profile := t.TempDir()
	cmd, err := chromium(requireTool(t, "chromium"), profile, "about:blank")
	require.NoError(t, err)
	cmd.Args = append([]string{cmd.Args[0], "--remote-debugging-pipe"}, cmd.Args[1:]...)
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
	p := &page{t: t, in: in, out: bufio.NewReader(out)}
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": url}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	p.shows("location.protocol + document.readyState", "http:complete")
	return p
}

// call does what the protocol calls a method. Events are passed over.
func (p *page) call(method string, params map[string]any, result any) {
	p.t.Helper()
	id := p.last.Add(1)
	message := map[string]any{"id": id, "method": method, "params": params}
	if p.session != "" {
		message["sessionId"] = p.session
	}
	text, err := json.Marshal(message)
	require.NoError(p.t, err)
	_, err = p.in.Write(append(text, 0))
	require.NoError(p.t, err)
	for {
		text, err := p.out.ReadBytes(0)
		require.NoError(p.t, err, method)
		var answer struct {
			ID     int64
			Result json.RawMessage
			Error  json.RawMessage
		}
		require.NoError(p.t, json.Unmarshal(text[:len(text)-1], &answer))
		if answer.ID == id {
			require.Empty(p.t, string(answer.Error), method)
			require.NoError(p.t, json.Unmarshal(answer.Result, result))
			return
		}
	}
}

// eval returns what a JavaScript expression comes to, as text; "" while it throws, as it does before its elements are there.
func (p *page) eval(js string) string {
	p.t.Helper()
	var got struct{ Result struct{ Value any } }
	p.call("Runtime.evaluate", map[string]any{"expression": "Promise.resolve(" + js + ").then(String)", "userGesture": true, "awaitPromise": true}, &got)
	if text, ok := got.Result.Value.(string); ok {
		return text
	}
	return ""
}

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

// shows waits until what a JavaScript expression comes to contains text.
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
