//go:build !race

package chaintest_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// whatwg reads lines of JSON, a URL and the beginning that it must keep. It prints the URLs that lose it, unchanged or after
// each layer of escapes is removed, as servers in a row may do.
const whatwg = `
const lines = require('fs').readFileSync(0, 'utf8').split('\n')
for (const line of lines) {
  if (!line) continue
  const [text, tree] = JSON.parse(line)
  const at = text.indexOf('/', 8)
  const root = text.slice(0, at)
  let path = text.slice(at)
  for (let i = 0; i < 12; i++) {
    let href = ''
    try { href = new URL(root + path).href } catch { href = tree }
    if (!href.startsWith(tree)) { console.log(JSON.stringify([text, i, href])); break }
    const next = unescape(path)
    if (next === path) break
    path = next
  }
}`

// hostilePath is a path that may leave its directory.
func hostilePath(r *rand.Rand) string {
	pieces := []string{
		"..", ".", "%2e", "%2E", "%252e", "%25252e", "..", "/", "/", "/", "\\", "%2f", "%5c", "%252f", "%09", "%0a", "%0d", "%00", "%20", "%7f", "%2509", "%250A", "%2520", "%2500",
		"%0b", "%c2%a0", "%ef%bc%8e", "%EF%BC%8F", "%e2%80%a4", "%c0%ae", "%c0%af", "%25c0%25ae", ";", ";x", "%3b", "%3f", "%23", "%253f", "a", "x", "seg1.ts", "title2", "%", "%zz", "%u002e", "%uff0e", "+",
		"%e2%80%8b", "%c2%ad", "%ad", "@", ":", "%40", "%3a",
	}
	var b strings.Builder
	for range 1 + r.IntN(9) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// Whatever a directory token admits or a mapper covers lies in its tree, for a parser of RFC 3986 (net/url) and for one of
// WHATWG (node). All 300,000 are asked for in one goroutine: the race detector would find nothing, and take four times as long.
func TestNoPathLeavesItsTree(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	signer := must(sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}, Scope: sign.Directory}))
	_, token, _ := strings.Cut(must(signer.URL("/v/title1/index.m3u8")), "?")
	tree := must(rewrite.Prefix("/v/", "https://cdn.example/t/"))
	random := rand.New(rand.NewPCG(1, 2))
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	admitted, mapped := 0, 0
	for range 300_000 {
		path := "/v/title1/" + hostilePath(random)
		u, err := url.ParseRequestURI(path)
		if err != nil {
			continue
		}
		q := *u
		q.RawQuery = token
		if _, err := signer.Verify(&http.Request{Method: http.MethodGet, URL: &q, Header: http.Header{}}); err == nil {
			admitted++
			require.True(t, strings.HasPrefix((&url.URL{}).ResolveReference(u).Path, "/v/title1/"), path)
			require.NoError(t, out.Encode([]string{"http://h" + u.EscapedPath(), "http://h/v/title1/"}))
		}
		if upstream, err := tree.Upstream(u); err == nil {
			mapped++
			up := must(url.Parse(upstream))
			require.True(t, strings.HasPrefix(must(url.Parse("https://x/")).ResolveReference(up).String(), "https://cdn.example/t/"), path)
			require.NoError(t, out.Encode([]string{upstream, "https://cdn.example/t/"}))
		}
	}
	t.Logf("%d admitted, %d mapped", admitted, mapped)
	require.Greater(t, admitted, 10_000)
	require.Greater(t, mapped, 10_000)
	cmd := exec.Command(node, "-e", whatwg)
	cmd.Stdin = &lines
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Empty(t, firstLines(string(text), 20))
}

func firstLines(text string, most int) string {
	lines := strings.SplitAfterN(text, "\n", most+1)
	return strings.Join(lines[:min(most, len(lines))], "")
}
