package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// readsURLs prints how the URL standard of browsers reads each line of its input, which is a JSON string.
const readsURLs = `
const lines = require("fs").readFileSync(0, "utf8").trimEnd().split("\n");
process.stdout.write(lines.map((line) => {
  try {
    const u = new URL(JSON.parse(line));
    return u.host + u.pathname;
  } catch {
    return "";
  }
}).join("\n"));
`

// hostilePath composes a path of all that some program has taken for a dot, a slash, a blank, or the end of a name.
func hostilePath(rnd *rand.Rand) string {
	pieces := []string{
		".", "..", ".", "..", "/", "/", "//", "\\", "%2e", "%2E%2e", "%2f", "%5c", "%252e", "%252f", "%255c", "%25252e", "a", "seg1.ts", "title2", "x", "%41", "%zz", "%",
		"%09", "%0a", "%0D", "%00", "%20", "%2520", "%250A", "%2509", "%7f", "%c2%a0", "%c2%ad", "%e2%80%8b", "\t", "\n", "\r", " ", "\x00", "\x7f", ";", "%3b", ";x", "%3f", "%23",
		"%253f", "@", "u:p@", ":", "%3a", "%ef%bc%8e", "\uff0e", "%e2%80%a4", "%e2%80%a5", "\u2025", "%ef%bc%8f", "\uff0f", "%ef%bc%bc", "%c0%ae", "%c0%af", "%c1%9c", "%e0%80%ae", "%u002e", "+", "|",
	}
	var b strings.Builder
	for range 1 + rnd.IntN(7) {
		b.WriteString(pieces[rnd.IntN(len(pieces))])
	}
	return b.String()
}

// No public path leads out of the mapped tree, and no token for a directory opens anything outside of it, neither by the URL
// standard (as node reads it) nor by RFC 3986 (package path).
func TestNoPathLeavesItsTree(t *testing.T) {
	node := requireTool(t, "node")
	const tree, directory, paths = "https://origin.example/a/b/", "/v/title1/", 300_000
	m, err := rewrite.Prefix("/live/", tree)
	require.NoError(t, err)
	signer, err := sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("a secret of at least 16 bytes")}}, TTL: time.Hour, Scope: sign.Directory})
	require.NoError(t, err)
	link, err := signer.URL(directory + "a.m3u8")
	require.NoError(t, err)
	_, token, _ := strings.Cut(link, "?")

	rnd := rand.New(rand.NewPCG(14, 14))
	var input bytes.Buffer
	within := []string{} // what each line of input must stay below
	add := func(u, below string) {
		line, err := json.Marshal(u)
		require.NoError(t, err)
		input.Write(append(line, '\n'))
		within = append(within, below)
		host, rest, _ := strings.Cut(strings.TrimPrefix(u, "https://"), "/")
		rest, _, _ = strings.Cut(rest, "#")
		rest, _, _ = strings.Cut(rest, "?")
		if plain, err := url.PathUnescape(rest); err == nil {
			rest = plain
		}
		require.True(t, strings.HasPrefix(host+path.Clean("/"+rest)+"/", below), "%q", u)
	}
	for range paths {
		tail := hostilePath(rnd)
		for _, u := range requestsFor("/live/" + tail) {
			if upstream, err := m.Upstream(u); err == nil {
				add(upstream, "origin.example/a/b/")
			}
		}
		for _, u := range requestsFor(directory + tail) {
			u.RawQuery = token
			if _, err := signer.Verify(&http.Request{Method: http.MethodGet, URL: u, RequestURI: u.RequestURI(), Header: http.Header{}, Host: "h"}); err == nil {
				add("https://h"+u.EscapedPath(), "h"+directory)
			}
		}
	}
	require.Greater(t, len(within), paths/50, "too few are taken to tell")

	cmd := exec.CommandContext(t.Context(), node, "-e", readsURLs)
	cmd.Stdin = &input
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(out))
	n := 0
	for ; lines.Scan(); n++ {
		if read := lines.Text(); read != "" {
			require.True(t, strings.HasPrefix(read, within[n]), "%q leads to %q", within[n], read)
		}
	}
	require.Equal(t, len(within), n)
}

// requestsFor are the URLs that net/http makes of a request for a path, from a client that escapes and from one that does not.
func requestsFor(path string) (all []*url.URL) {
	if u, err := url.ParseRequestURI(path); err == nil {
		all = append(all, u)
	}
	return append(all, &url.URL{Path: path})
}
