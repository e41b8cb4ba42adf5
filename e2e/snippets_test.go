package e2e

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/stretchr/testify/require"
)

// TestSnippetsOfTheDocsPlay runs docs/in-your-page.md: its program, and in Chromium each snippet for each player, on a page of
// another site. Only the addresses differ.
func TestSnippetsOfTheDocsPlay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/in-your-page.md")
	require.NoError(t, err)
	doc := string(text)
	o := newOrigin(t, media(t))

	const token = "the token of a test"
	snippets := http.NewServeMux()
	site := httptest.NewServer(snippets)
	defer site.Close()
	page := strings.Replace(site.URL, "127.0.0.1", "localhost", 1) // another site than 127.0.0.1
	streams := runProgram(t, doc, o, page, "LINK_KEY="+strings.Repeat("k", 32), "API_TOKEN="+token)

	for _, path := range []string{"/live/index.m3u8", "/api/live/index.m3u8"} {
		resp, err := http.Get(streams + path)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode, path)
	}
	requireHLSJS(t)
	for name, file := range scripts {
		snippets.HandleFunc("GET /players/"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	p := openPage(t, page)
	for _, title := range []string{"A token in the URL", "A cookie", "A Bearer header"} {
		block := blockOf(t, doc, title)
		first, pieces := split(t, block)
		for player, piece := range pieces {
			path := "/" + url.PathEscape(title) + "/" + player
			snippets.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprintf(w, `<!doctype html><video class="video-js" muted playsinline></video><script src="/players/%s"></script>
<script type="module">
const media = '%s', video = document.querySelector('video'), token = '%s'
setInterval(() => { const v = document.querySelector('video'); if (v?.paused) v.play()?.catch(() => {}) }, 300)
%s
%s
</script>`, html.EscapeString(player), streams, token, first, piece)
			})
			t.Run(title+" "+player, func(t *testing.T) {
				p := p.in(t)
				p.open(page + path)
				p.shows("document.querySelector('video').currentTime > 2", "true")
			})
		}
	}
	for _, r := range o.seen() {
		require.Empty(t, r.Header.Get("Authorization"))
		require.Empty(t, r.Header.Get("Cookie"))
	}
}

// blockOf is the first JavaScript below a title.
func blockOf(t *testing.T, doc, title string) string {
	t.Helper()
	_, below, ok := strings.Cut(doc, "\n## "+title+"\n")
	require.True(t, ok, title)
	_, below, ok = strings.Cut(below, "```js\n")
	require.True(t, ok, title)
	block, _, _ := strings.Cut(below, "```")
	return block
}

// split splits a block into the part for all players and a part for each one.
func split(t *testing.T, block string) (first string, pieces map[string]string) {
	t.Helper()
	pieces, player := map[string]string{}, ""
	for line := range strings.Lines(block) {
		switch {
		case strings.HasPrefix(line, "// hls.js"):
			player = "hls.js"
		case strings.HasPrefix(line, "// Shaka"):
			player = "shaka.js"
		case strings.HasPrefix(line, "// video.js"):
			player = "video.js"
		case player == "":
			first += line
		default:
			pieces[player] += line
		}
	}
	require.Len(t, pieces, 3)
	return first, pieces
}

// runProgram runs the first program of a page until the test ends, with the addresses of a test in place of its own. It returns
// the address of the program.
func runProgram(t *testing.T, doc string, o *origin, page string, env ...string) string {
	t.Helper()
	address, err := freeport.Addr()
	require.NoError(t, err)
	at, err := url.Parse(o.URL)
	require.NoError(t, err)

	_, program, _ := strings.Cut(doc, "```go\n")
	program, _, _ = strings.Cut(program, "```")
	for old, replacement := range map[string]string{
		`"https://www.example.com"`:          fmt.Sprintf("%q", page),
		`https://media.example.com`:          "http://" + address,
		`"https://"+host+"/"`:                fmt.Sprintf("%q", o.URL+"/ts/"),
		`const host = "origin.example"`:      `const host = "127.0.0.1"`,
		`GuardConfig{Hosts: []string{host}}`: fmt.Sprintf(`GuardConfig{Hosts: []string{host}, Ports: []string{%q}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}`, at.Port()),
		"\"net/http\"\n":                     "\"net/http\"\n\t\"net/netip\"\n",
		`"localhost:8080"`:                   fmt.Sprintf("%q", address),
	} {
		require.Equal(t, 1, strings.Count(program, old), old)
		program = strings.Replace(program, old, replacement, 1)
	}
	dir := t.TempDir()
	require.NoError(t, write(dir, "main.go", program))
	binary := filepath.Join(dir, "program")
	said, err := exec.Command("go", "build", "-C", "..", "-o", binary, filepath.Join(dir, "main.go")).CombinedOutput()
	require.NoError(t, err, "%s", said)
	cmd := exec.Command(binary)
	cmd.Env = append(withoutProxy(), env...)
	startListening(t, cmd, address)
	return "http://" + address
}
