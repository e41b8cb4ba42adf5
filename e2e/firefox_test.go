package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// marionette drives a Firefox by its own protocol: JSON over TCP, each message with its length in front.
type marionette struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	last int
}

// openFirefox opens a URL in a Firefox of its own until the test ends.
func openFirefox(t testing.TB, url string) *page {
	t.Helper()
	profile := newProfile(t)
	cmd, err := firefox(requireTool(t, "firefox-esr"), profile, "about:blank")
	require.NoError(t, err)
	prefs, err := os.OpenFile(filepath.Join(profile, "user.js"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = io.WriteString(prefs, "user_pref(\"marionette.port\", 0);\n")
	require.NoError(t, err)
	require.NoError(t, prefs.Close())
	cmd.Args = append([]string{cmd.Args[0], "--marionette", "--remote-allow-system-access"}, cmd.Args[1:]...)
	cmd.Env = append(withoutProxy(), "HOME="+profile, "TMPDIR="+profile)
	exited, err := spawn(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		killGroup(cmd.Process)
		<-exited
	})
	m := &marionette{t: t}
	require.Eventually(t, func() bool {
		port, err := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if err == nil && len(port) > 0 {
			m.conn, err = net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(string(port)))
		}
		return err == nil && m.conn != nil
	}, 5*time.Minute, 50*time.Millisecond, "Firefox lets nobody drive it")
	t.Cleanup(func() { m.conn.Close() })
	require.NoError(t, m.conn.SetDeadline(time.Now().Add(5*time.Minute)))
	m.in = bufio.NewReader(m.conn)
	m.receive() // Firefox introduces itself
	m.call("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{}}, nil)
	p := &page{t: t, driver: m}
	p.open(url)
	return p
}

func (m *marionette) receive() []byte {
	m.t.Helper()
	length, err := m.in.ReadString(':')
	require.NoError(m.t, err)
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	require.NoError(m.t, err)
	text := make([]byte, n)
	_, err = io.ReadFull(m.in, text)
	require.NoError(m.t, err)
	return text
}

// call runs a command and reports its error, if any.
func (m *marionette) call(name string, params, result any) (failed string) {
	m.t.Helper()
	m.last++
	text, err := json.Marshal([]any{0, m.last, name, params})
	require.NoError(m.t, err)
	_, err = fmt.Fprintf(m.conn, "%d:%s", len(text), text)
	require.NoError(m.t, err)
	var answer [4]json.RawMessage // its kind, the number of the command, an error, a result
	require.NoError(m.t, json.Unmarshal(m.receive(), &answer))
	if string(answer[2]) != "null" {
		return string(answer[2])
	}
	if result != nil {
		require.NoError(m.t, json.Unmarshal(answer[3], result))
	}
	return ""
}

func (m *marionette) open(url string) {
	m.t.Helper()
	require.Empty(m.t, m.call("WebDriver:Navigate", map[string]any{"url": url}, nil))
}

func (m *marionette) eval(js string) string {
	m.t.Helper()
	var got struct{ Value any }
	if m.call("WebDriver:ExecuteScript", map[string]any{"script": "return Promise.resolve(" + js + ").then(String)", "args": []any{}}, &got) != "" {
		return ""
	}
	text, _ := got.Value.(string)
	return text
}

// inside runs a script with the rights of the browser.
func (m *marionette) inside(js string) {
	m.t.Helper()
	require.Empty(m.t, m.call("Marionette:SetContext", map[string]any{"value": "chrome"}, nil))
	require.Empty(m.t, m.call("WebDriver:ExecuteScript", map[string]any{"script": js, "args": []any{}}, nil))
	require.Empty(m.t, m.call("Marionette:SetContext", map[string]any{"value": "content"}, nil))
}

func (m *marionette) screen(width, height int, dark bool) {
	m.t.Helper()
	light := map[bool]int{true: 0, false: 1}[dark]
	m.inside(fmt.Sprintf(`
		Services.prefs.setIntPref("layout.css.prefers-color-scheme.content-override", %d)
		window.resizeTo(1400, 1200)
		Object.assign(gBrowser.selectedBrowser.style, { width: "%dpx", minWidth: "%[2]dpx", maxWidth: "%[2]dpx", height: "%dpx", maxHeight: "%[3]dpx" })`, light, width, height))
}

func (m *marionette) shot() []byte {
	m.t.Helper()
	var got struct{ Value string }
	require.Empty(m.t, m.call("WebDriver:TakeScreenshot", map[string]any{"full": false, "hash": false}, &got))
	png, err := base64.StdEncoding.DecodeString(got.Value)
	require.NoError(m.t, err)
	return png
}

func (m *marionette) key(name string) {
	m.t.Helper()
	value := map[string]string{"Tab": "\ue004", "Enter": "\ue007", " ": " ", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Escape": "\ue00c"}[name]
	var actions []any
	for _, what := range []string{"keyDown", "keyUp"} {
		actions = append(actions, map[string]any{"type": what, "value": value})
	}
	require.Empty(m.t, m.call("WebDriver:PerformActions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keys", "actions": actions}}}, nil))
}
