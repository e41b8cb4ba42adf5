package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/players.md from the full matrix, and docs/origins.md")

// results are the marks of the cells, by way, shape and player.
type results struct {
	mu    sync.Mutex
	marks map[[3]string]string
}

func (rs *results) set(way string, s shape, p player, mark string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.marks == nil {
		rs.marks = map[[3]string]string{}
	}
	rs.marks[[3]string{way, s.name, p.name}] = mark
}

// mark is the entry of a cell in the table.
func (c cell) mark(err error) string {
	switch {
	case err != nil:
		return "FAILS"
	case !c.seek:
		return "no seeks"
	case !c.extra:
		return "without"
	}
	return "yes"
}

func packageVersion(name string) (string, error) {
	dir := map[string]string{"shaka": "shaka-player"}[name]
	if dir == "" {
		dir = name
	}
	text, err := os.ReadFile(filepath.Join("node_modules", dir, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct{ Version string }
	err = json.Unmarshal(text, &p)
	return p.Version, err
}

// write puts the table into the documentation.
func (rs *results) write(t *testing.T) {
	text, err := pages.ReadFile("testdata/players.md")
	require.NoError(t, err)
	doc := strings.ReplaceAll(string(text), "@versions@", versions(t, players))
	doc = strings.ReplaceAll(doc, "@limits@", limitList())
	doc = strings.ReplaceAll(doc, "@tables@", rs.tables())
	require.NoError(t, os.WriteFile("../docs/players.md", []byte(doc), 0o644))
}

func versions(t *testing.T, players []player) string {
	var list []string
	for _, p := range players {
		v, err := p.versionOf()
		require.NoError(t, err)
		list = append(list, p.name+" "+v)
	}
	return strings.Join(list, ", ")
}

func limitList() string {
	var b strings.Builder
	for _, s := range matrixShapes() {
		for _, p := range players {
			if l := limitOf(s, p); l.reason != "" {
				fmt.Fprintf(&b, "- %s, %s: %s.\n", s.name, p.name, l.reason)
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (rs *results) tables() string {
	var b strings.Builder
	for _, w := range ways {
		fmt.Fprintf(&b, "## Through %s\n\n| |", w.name)
		for _, p := range players {
			fmt.Fprintf(&b, " %s |", p.name)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(players)) + "\n")
		for _, s := range matrixShapes() {
			if s.live() && !w.live {
				continue
			}
			fmt.Fprintf(&b, "| %s |", s.name)
			for _, p := range players {
				mark := rs.marks[[3]string{w.name, s.name, p.name}]
				if mark == "" {
					mark = "not run"
				}
				fmt.Fprintf(&b, " %s |", mark)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n\n")
}
