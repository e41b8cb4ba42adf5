package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	begun   = regexp.MustCompile(`(?m)^(.*=.*)go run \.$`)
	wanted  = regexp.MustCompile(`os\.Getenv\("(\w+)"\)`)
	guarded = regexp.MustCompile(`GuardConfig\{Hosts: \[\]string\{.*?\}\}`)
	printed = regexp.MustCompile(`https?://[^/\s]+(/\S+\?\S+)`)
)

// TestCommandsOfTheDocsDoWhatTheySay runs the programs of the pages that have commands with curl, and then these commands. The
// text of a line that begins with "# " must be in the output of the command above it. Only the addresses differ from the page.
func TestCommandsOfTheDocsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	requireTool(t, "curl")
	// README has no room for them.
	commands := map[string]string{"../README.md": "curl -i http://localhost:8080/\n# HTTP/1.1 200 OK\n# <video \n" +
		"curl -i \"http://localhost:8080$LINK\"\n# HTTP/1.1 200 OK\n# 1.ts?hpt=\ncurl -i http://localhost:8080/live/master.m3u8\n# 401 Unauthorized\n"}
	// The programs of these pages need what these modules import.
	modules := map[string]string{"../docs/routers.md": "../internal/routers", "../docs/running.md": "../examples/s3", "../docs/watch.md": "../examples/watch"}
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	ran := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		var programs []documented
		start, last := "", 0
		for i, block := range strings.Split("\n"+string(text), "\n```") {
			language, block, _ := strings.Cut(block, "\n")
			switch {
			case i%2 == 0: // between two blocks
			case strings.HasPrefix(block, "package main\n"):
				programs = append(programs, documented{program: block + "\n", commands: commands[page]})
			case language == "":
				if strings.Contains(block, "curl ") { // for the programs above it that have no commands yet
					for ; last < len(programs); last++ {
						programs[last].commands = strings.ReplaceAll(block, "\\\n", "") + "\n"
					}
				}
				if m := begun.FindStringSubmatch(block); m != nil {
					start = m[1]
				}
			}
		}
		for i, p := range programs {
			if p.commands == "" {
				continue
			}
			ran++
			t.Run(fmt.Sprint(filepath.Base(page), " ", i+1), func(t *testing.T) {
				dir := filmFolder(t)
				addresses := addressesOf(t, startOrigin(t, http.HandlerFunc(serveShow)))
				said := startDocumented(t, modules[page], dir, start, addresses, p.program)
				env := withoutProxy()
				if m := printed.FindStringSubmatch(said.text()); m != nil {
					env = append(env, "LINK="+m[1])
				}
				requireSaid(t, dir, env, addresses.Replace(p.commands), said)
			})
		}
	}
	require.Greater(t, ran, 9)
}

// documented is a program of a page, with the commands that follow it.
type documented struct{ program, commands string }

// requireSaid runs commands. Each must succeed and print the text below it.
func requireSaid(t *testing.T, dir string, env []string, commands string, program *lines) {
	t.Helper()
	var command, out string
	for line := range strings.Lines(commands) {
		if expected, ok := strings.CutPrefix(line, "# "); ok {
			require.Contains(t, out, strings.TrimSpace(expected), "%s\n%s", command, program.text())
			continue
		}
		command = line
		cmd := exec.Command(requireTool(t, "sh"), "-c", command)
		cmd.Dir, cmd.Env = dir, env
		got, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s%s%s", command, got, program.text())
		out = string(got)
	}
}

// addressesOf replaces the addresses of the pages by those of a test.
func addressesOf(t *testing.T, o *origin) *strings.Replacer {
	t.Helper()
	var free [2]string
	for i := range free {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // once both are known, so that they differ
		free[i] = l.Addr().String()
	}
	host := strings.TrimPrefix(o.URL, "http://")
	return strings.NewReplacer(
		"localhost:8080", free[0], `":443"`, `"`+free[0]+`"`, "localhost:9090", free[1],
		"https://origin.example", o.URL, "https://a.origin.example", o.URL, "https://b.origin.example", o.URL+"/b", "https://a.cdn.example", o.URL,
		`"https://"+host`, `"http://"+host`, `"origin.example"`, `"`+host+`"`, `"devstreaming-cdn.apple.com"`, `"`+host+`"`,
	)
}

// startDocumented runs a program of a page until the test ends. It builds the program in a module that has its imports, and
// makes its guard allow the origin of the test.
func startDocumented(t *testing.T, module, dir, start string, addresses *strings.Replacer, program string) *lines {
	t.Helper()
	if guarded.MatchString(program) {
		program = guarded.ReplaceAllLiteralString(program, `GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: []string{"all"}}`)
		program = strings.Replace(program, "\"net/http\"\n", "\"net/http\"\n\t\"net/netip\"\n", 1)
	}
	require.NoError(t, write(dir, "main.go", addresses.Replace(program)))
	if module == "" {
		module = ".."
	}
	binary := filepath.Join(dir, "program")
	errors, err := exec.Command("go", "build", "-C", module, "-o", binary, filepath.Join(dir, "main.go")).CombinedOutput()
	require.NoError(t, err, "%s", errors)
	cmd := exec.Command(binary)
	if start != "" { // the page says how
		if strings.Contains(start, "openssl") {
			requireTool(t, "openssl")
		}
		cmd = exec.Command(requireTool(t, "sh"), "-c", start+"exec "+binary)
	}
	cmd.Dir, cmd.Env = dir, withoutProxy()
	for _, m := range wanted.FindAllStringSubmatch(program, -1) {
		cmd.Env = append(cmd.Env, m[1]+"="+strings.Repeat("k", 32))
	}
	cmd.Env = append(cmd.Env, "CACHE_DIRECTORY="+dir)
	said := startListening(t, cmd, addresses.Replace("localhost:8080"))
	if strings.Contains(program, "localhost:9090") {
		untilListening(t, addresses.Replace("localhost:9090"), said)
	}
	return said
}

// filmFolder holds the folder films/film of the pages.
func filmFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "films/film"), 0o755))
	require.NoError(t, write(dir, "films/film/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST\n"))
	return dir
}

// serveShow is an origin. It has a live stream with a long history, and under any other name a film of three segments.
func serveShow(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, ".m3u8") {
		serveMedia(w, r, []byte(strings.Repeat("G"+strings.Repeat("\xff", 187), 100)))
		return
	}
	segments, end := 3, "#EXT-X-ENDLIST\n"
	if strings.HasSuffix(r.URL.Path, "/show/index.m3u8") {
		segments, end = 40, ""
	}
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
	for i := range segments {
		list += fmt.Sprintf("#EXTINF:4,\n%d.ts\n", i+1)
	}
	serveMedia(w, r, []byte(list+end))
}
