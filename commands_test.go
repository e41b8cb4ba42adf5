package hlsproxy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	command = regexp.MustCompile("go run (\\.[a-z0-9/]*)((?:[ \\t]+\\[?-?[^ \\t\\n`#]+)*)")
	cd      = regexp.MustCompile(`\bcd ([a-z0-9/]+)`)
	option  = regexp.MustCompile(`(?:^|[ \t\[])-([a-z0-9-]+)`)
)

// Each command in the documentation names a program that is there, and flags that it has.
func TestCommandsInTheDocs(t *testing.T) {
	shared := source(t, "examples/internal/*/*.go")
	seen := 0
	for _, page := range list(t, "README.md", "docs/*.md", "examples/*/main.go", "internal/bench/*/main.go", "examples/*/README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		at := filepath.Dir(page) // of the last cd, or of the program that says it of itself
		if strings.HasSuffix(page, ".md") {
			at = ""
		}
		for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
			if m := cd.FindStringSubmatch(line); m != nil {
				at = m[1]
				require.DirExists(t, at, page)
			}
			for _, m := range command.FindAllStringSubmatch(line, -1) {
				dir, flags := filepath.Clean(m[1]), option.FindAllStringSubmatch(m[2], -1)
				switch {
				case dir == "." && at == "":
					require.Empty(t, flags, "%s: %s: of which program?", page, m[0])
					continue // the program of the page itself
				case dir == ".":
					dir = at
				case !strings.HasPrefix(dir, "examples/"):
					dir = filepath.Join("internal/bench", dir)
				}
				own := source(t, dir+"/*.go")
				require.Contains(t, own, "package main", "%s: %s", page, m[0])
				for _, flag := range flags {
					require.Contains(t, own+shared, `"`+flag[1]+`"`, "%s: %s has no such flag", page, dir)
					seen++
				}
			}
		}
	}
	require.Greater(t, seen, 30)
}

// list is all files of these patterns.
func list(t *testing.T, patterns ...string) (files []string) {
	for _, pattern := range patterns {
		some, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, some...)
	}
	return files
}

// source is the text of all files of a pattern.
func source(t *testing.T, pattern string) string {
	var all strings.Builder
	for _, file := range list(t, pattern) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}
