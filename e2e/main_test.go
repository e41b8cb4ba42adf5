package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scratch holds the built examples, the media and the browser's profile while the tests run.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hlsproxy-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer theBrowser.stop()
	defer theFirefox.stop()
	scratch = dir
	flag.Parse()
	if d, err := time.ParseDuration(flag.Lookup("test.timeout").Value.String()); err == nil && d > time.Minute {
		// A test that runs out of time panics. Then only the processes are cleared up.
		time.AfterFunc(d-time.Second, func() { os.RemoveAll(dir) })
	}
	if text, err := buildExamples(); err != nil {
		fmt.Fprintf(os.Stderr, "building the examples: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

func buildExamples() ([]byte, error) {
	bin := filepath.Join(scratch, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	return exec.Command("go", "build", "-C", "..", "-o", bin+string(filepath.Separator), "./examples/...").CombinedOutput()
}

// requireTool skips the test if a program is missing, or fails it where no program may be missing.
func requireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is not installed")
	}
	return path
}

func requireHLSJS(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("node_modules/hls.js/dist/hls.min.js")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		missing(t, "hls.js is not there, run npm ci in e2e")
	}
	return path
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// withoutProxy is the environment without the proxy settings that ffmpeg would obey even for loopback.
var withoutProxy = sync.OnceValue(func() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, kv)
		}
	}
	return slices.Clip(env) // so that append makes a copy
})
