package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// blocks are the documents in the YAML blocks of the page.
func blocks(t *testing.T) (docs []map[string]any) {
	text, err := os.ReadFile("../../docs/cluster.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for d := yaml.NewDecoder(strings.NewReader(m[1])); ; {
			var doc map[string]any
			if d.Decode(&doc) != nil {
				break
			}
			require.NotEmpty(t, doc)
			docs = append(docs, doc)
		}
	}
	return docs
}

// commands are the lists of arguments in a document that begin with -addr.
func commands(v any) (lists [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, below := range v {
			lists = append(lists, commands(below)...)
		}
	case []any:
		var args []string
		for _, one := range v {
			lists = append(lists, commands(one)...)
			if s, ok := one.(string); ok {
				args = append(args, s)
			}
		}
		if len(args) > 0 && args[0] == "-addr" {
			lists = append(lists, args)
		}
	}
	return lists
}

func TestTheManifestsOfThePageAreRight(t *testing.T) {
	t.Parallel()
	docs := blocks(t)
	require.Len(t, docs, 5)
	var kinds []string
	count := 0
	for _, doc := range docs {
		if kind, ok := doc["kind"].(string); ok {
			require.NotEmpty(t, doc["apiVersion"])
			require.NotEmpty(t, doc["metadata"].(map[string]any)["name"])
			require.NotEmpty(t, doc["spec"])
			kinds = append(kinds, kind)
		} else {
			require.Contains(t, doc, "services")
			for name, s := range doc["services"].(map[string]any) {
				service := s.(map[string]any)
				require.True(t, service["image"] != nil || service["build"] != nil, name)
			}
		}
		for _, args := range commands(doc) {
			count++
			for i, a := range args { // the page has other names and addresses than this machine
				a = strings.NewReplacer("$(POD_IP)", "127.0.0.1", "${CLUSTER_SECRET:?}", "secret", "$(SECRET)", "secret").Replace(a)
				if i > 0 && (args[i-1] == "-addr" || args[i-1] == "-node") {
					a = "127.0.0.1:0"
				}
				args[i] = a
			}
			o, err := parse(args)
			require.NoError(t, err)
			require.NotNil(t, o.directory)
			require.Equal(t, int64(4<<30), o.cache)
			o.viewers.Close()
			o.nodes.Close()
		}
	}
	require.Equal(t, []string{"Service", "Service", "Deployment", "NetworkPolicy"}, kinds)
	require.Equal(t, 3, count)
}

func TestWhatIsWrongWithTheFlagsIsSaid(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"":          "-origin is needed",
		"-origin x": "an origin is http",
		"-origin http://o.example -engine redis://h:1":                              "-secret is needed",
		"-origin http://o.example -member http://a:1":                               "-secret is needed",
		"-origin http://o.example -secret s -engine redis://h:1 -member http://a:1": "-member is for nodes without -engine",
		"-origin http://o.example -secret s -engine h":                              "redis://HOST:PORT",
		"-origin http://o.example -secret s -member a:1":                            "http://HOST:PORT",
		"-origin http://o.example -node :0":                                         "at which other nodes reach this one",
		"-origin http://o.example -node 0.0.0.0:0":                                  "at which other nodes reach this one",
	} {
		_, err := parse(append([]string{"-addr", "127.0.0.1:0", "-node", "127.0.0.1:0"}, strings.Fields(args)...))
		require.ErrorContains(t, err, says, args)
	}
}

func TestTheLinesForLoadBalancersAreTaken(t *testing.T) {
	text, err := os.ReadFile("../../docs/cluster.md")
	require.NoError(t, err)
	for _, c := range []struct{ language, before, after, program string }{
		{"nginx", "events {}\nhttp {\n", "}\n", "nginx"},
		{"haproxy", "", "", "haproxy"},
	} {
		m := regexp.MustCompile("(?s)```" + c.language + "\n(.*?)```").FindSubmatch(text)
		require.Len(t, m, 2, c.language)
		if _, err := exec.LookPath(c.program); err != nil {
			continue // the tests do not need it
		}
		file := filepath.Join(t.TempDir(), "lines")
		lines := strings.Replace(string(m[1]), "listen 80;", "listen 127.0.0.1:18080;", 1)
		require.NoError(t, os.WriteFile(file, []byte(c.before+lines+c.after), 0o600))
		args := []string{"-c", "-f", file}
		if c.program == "nginx" {
			args = []string{"-t", "-c", file, "-g", "pid " + file + ".pid;"}
		}
		said, err := exec.Command(c.program, args...).CombinedOutput()
		require.NoError(t, err, string(said))
	}
}
