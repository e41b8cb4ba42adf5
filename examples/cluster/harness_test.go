package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/stretchr/testify/require"
)

// program is the program under test, built as users build it.
var program string

func TestMain(m *testing.M) {
	if os.Getenv(bareEnv) != "" {
		fmt.Fprintln(os.Stderr, serveBare())
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "hlsproxy-cluster")
	if err == nil {
		program = filepath.Join(dir, "cluster")
		var said []byte
		if said, err = exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const bareEnv = "HLSPROXY_TEST_BARE"

// bare is a handler with nothing but net/http. All viewers of /SIZE/MILLISECONDS/NAME get a body of that size, in that time
// from the first request on, at the pace of an origin. It shows the cost of the viewers alone.
type bare struct {
	mu     sync.Mutex
	bodies map[string][]byte
	began  map[string]time.Time
}

const fieldBegan = "X-Began" // when the first byte was sent, in Unix nanoseconds

func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 3)
	size, _ := strconv.Atoi(parts[0])
	took, _ := strconv.Atoi(parts[1])
	due := func(off int) time.Duration {
		return time.Duration(took) * time.Millisecond * time.Duration(off) / time.Duration(size)
	}
	b.mu.Lock()
	body, begun := b.bodies[r.URL.Path], b.began[r.URL.Path]
	if body == nil {
		body, begun = bodyOf(r.URL.Path, "1", size), time.Now()
		b.bodies[r.URL.Path], b.began[r.URL.Path] = body, begun
	}
	b.mu.Unlock()
	w.Header().Set("Content-Length", parts[0])
	for off := 0; off < size; {
		to := min(off+pieceSize, size)
		time.Sleep(time.Until(begun.Add(due(to))))
		if off == 0 {
			w.Header().Set(fieldBegan, strconv.FormatInt(begun.Add(due(to)).UnixNano(), 10))
		}
		if _, err := w.Write(body[off:to]); err != nil {
			return
		}
		off = to
	}
}

// serveBare runs in the process that startBare starts.
func serveBare() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + ln.Addr().String())
	return http.Serve(ln, &bare{bodies: map[string][]byte{}, began: map[string]time.Time{}})
}

// startBare starts such a process and returns its address.
func startBare(t *testing.T) (url string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), bareEnv+"=1"), os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	url, ok := strings.CutPrefix(lines.Text(), "listening on ")
	require.True(t, ok, lines.Text())
	return url
}

// node is a process.
type node struct {
	t         *testing.T
	args      []string
	cmd       *exec.Cmd
	url, self string
	killing   sync.Mutex
}

func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	n := &node{t: t, args: append([]string{"-addr", freePort(t), "-node", freePort(t)}, args...)}
	n.start()
	t.Cleanup(n.kill)
	return n
}

func (n *node) start() {
	n.t.Helper()
	n.cmd = exec.Command(program, n.args...)
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, n.cmd.Start())
	lines := bufio.NewScanner(out)
	for _, l := range []struct {
		prefix string
		to     *string
	}{{"listening on ", &n.url}, {"nodes reach this one at ", &n.self}} {
		require.True(n.t, lines.Scan())
		rest, ok := strings.CutPrefix(lines.Text(), l.prefix)
		require.True(n.t, ok, lines.Text())
		if *l.to != rest { // viewers may be reading it when a node starts again
			*l.to = rest
		}
	}
	// A node that is started again keeps its address.
	n.args = append([]string{"-addr", strings.TrimPrefix(n.url, "http://"), "-node", strings.TrimPrefix(n.self, "http://")}, n.args[4:]...)
	go io.Copy(io.Discard, out)
}

func (n *node) signal(s syscall.Signal) { send(n.cmd.Process, s) }

// send sends a signal. It returns when a process that it stops has stopped: on a loaded machine that takes its time, and
// meanwhile the process still answers.
func send(p *os.Process, s syscall.Signal) {
	if err := p.Signal(s); err == nil && s == syscall.SIGSTOP {
		_, _ = syscall.Wait4(p.Pid, nil, syscall.WUNTRACED, nil)
	}
}

// kill may be called by a timer, and once more at the end of the test.
func (n *node) kill() {
	n.killing.Lock()
	defer n.killing.Unlock()
	n.signal(syscall.SIGKILL)
	_ = n.cmd.Wait()
}

// leave ends the process as an operator does.
func (n *node) leave() {
	n.t.Helper()
	at := time.Now()
	n.signal(syscall.SIGTERM)
	require.NoError(n.t, n.cmd.Wait())
	require.Less(n.t, time.Since(at), 8*time.Second)
}

func (n *node) stats() (s cluster.Stats) {
	n.t.Helper()
	resp, err := http.Get(n.url + "/stats")
	require.NoError(n.t, err)
	defer resp.Body.Close()
	require.NoError(n.t, json.NewDecoder(resp.Body).Decode(&s))
	return s
}

func (n *node) purge(prefix string) (status int, said purged) {
	n.t.Helper()
	resp, err := http.Post(n.url+"/purge?prefix="+prefix, "", nil)
	require.NoError(n.t, err)
	defer resp.Body.Close()
	require.NoError(n.t, json.NewDecoder(resp.Body).Decode(&said))
	return resp.StatusCode, said
}

// nodes starts nodes behind an engine, or as members if there is none.
func startNodes(t *testing.T, count int, o *source, e *engine, args ...string) []*node {
	t.Helper()
	args = append([]string{"-origin", o.URL, "-allow", "127.0.0.0/8", "-secret", "of the test"}, args...)
	if e != nil {
		args = append(args, "-engine", "redis://"+e.addr)
	} else {
		var ports []string
		for range count {
			ports = append(ports, freePort(t))
		}
		var nodes []*node
		for _, p := range ports {
			args := args
			for _, m := range ports {
				args = append(args, "-member", "http://"+m)
			}
			n := &node{t: t, args: append([]string{"-addr", freePort(t), "-node", p}, args...)}
			n.start()
			t.Cleanup(n.kill)
			nodes = append(nodes, n)
		}
		return nodes
	}
	var nodes []*node
	for range count {
		nodes = append(nodes, startNode(t, args...))
	}
	return nodes
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Addr()
	require.NoError(t, err)
	return addr
}

// source is an origin that counts its requests. It answers /SIZE/MILLISECONDS/NAME with a body of that size in that time.
type source struct {
	*httptest.Server
	mu      sync.Mutex
	asked   map[string]int // by method, URL and Range
	version string
	began   map[string]time.Time // by path: when the first bytes of the last body were sent
	ended   map[string]time.Time // and its last
	films   map[string][]byte    // by path: bodies that take too long to make while a viewer waits
	tag     func(string) string  // nil: a strong one
}

func newSource(t *testing.T) *source {
	o := &source{
		asked: map[string]int{}, began: map[string]time.Time{}, ended: map[string]time.Time{}, films: map[string][]byte{}, version: "1",
	}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	key := r.Method + " " + r.URL.RequestURI()
	if v := r.Header.Get("Range"); v != "" {
		key += " " + v
	}
	o.asked[key]++
	version, tag, body := o.version, o.tag, o.films[r.URL.Path]
	o.mu.Unlock()
	parts := strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 3)
	size, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) != 3 {
		o.special(w, r, parts)
		return
	}
	took, _ := strconv.Atoi(parts[1])
	if body == nil {
		body = bodyOf(r.URL.Path, version, size)
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body[:min(len(body), 4096)]))
	if tag != nil {
		etag = tag(etag)
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Content-Type", "video/mp2t")
	defer o.at(o.ended, r.URL.Path)
	http.ServeContent(w, r, "", time.Time{}, &paced{
		Reader: bytes.NewReader(body), size: size, took: time.Duration(took) * time.Millisecond, w: w,
		begin: sync.OnceFunc(func() { o.at(o.began, r.URL.Path) }),
	})
}

// at notes the time.
func (o *source) at(times map[string]time.Time, path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	times[path] = time.Now()
}

// times are the times at which the first and the last bytes of the body of a path were sent.
func (o *source) times(path string) (began, ended time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.began[path], o.ended[path]
}

// film has a body made now.
func (o *source) film(path string, size int) []byte {
	body := bodyOf(path, "1", size)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.films[path] = body
	return body
}

// special answers requests for anything but media.
func (o *source) special(w http.ResponseWriter, r *http.Request, parts []string) {
	switch parts[0] {
	case "live":
		now := time.Now().UnixNano()
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, now))
		fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n#X-AT:%d\n", now/1e9, now)
	case "block":
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:1,\na.ts\n")
	case "503":
		w.Header().Set("Retry-After", "7")
		http.Error(w, "no", http.StatusServiceUnavailable)
	case "reset":
		panic(http.ErrAbortHandler)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>not media")
	default:
		http.NotFound(w, r)
	}
}

// paced is a body that comes in a given time.
type paced struct {
	*bytes.Reader
	size int
	took time.Duration
	w    http.ResponseWriter

	begin func() // is called when the first bytes are about to be sent
}

const pieceSize = 32 << 10

func (p *paced) Read(b []byte) (int, error) {
	if p.took == 0 {
		return p.Reader.Read(b)
	}
	n, err := p.Reader.Read(b[:min(len(b), pieceSize)])
	http.NewResponseController(p.w).Flush()
	time.Sleep(time.Duration(float64(p.took) * float64(n) / float64(p.size)))
	p.begin()
	return n, err
}

func (p *paced) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{p})
}

func (o *source) setVersion(v string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version = v
}

// count is the number of requests, except HEAD, for paths that contain a text.
func (o *source) count(part string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, c := range o.asked {
		if strings.HasPrefix(key, "GET ") && strings.Contains(key, part) {
			n += c
		}
	}
	return n
}

func (o *source) most(part string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, c := range o.asked {
		if strings.HasPrefix(key, "GET ") && strings.Contains(key, part) {
			n = max(n, c)
		}
	}
	return n
}

// bodyOf is the body of a path in a version.
func bodyOf(path, version string, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(path + " " + version))).Read(b)
	return b
}

// viewers have connections of their own, without a limit.
var viewers = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 600, MaxIdleConns: 3000, DisableCompression: true}, Timeout: 60 * time.Second}

// seen is the answer that a viewer got.
type seen struct {
	status int
	header http.Header
	body   []byte
	first  time.Duration // until the header
	all    time.Duration
	err    error
}

func view(url string, header ...string) (s seen) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return seen{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	at := time.Now()
	resp, err := viewers.Do(r)
	if err != nil {
		return seen{err: err}
	}
	defer resp.Body.Close()
	s = seen{status: resp.StatusCode, header: resp.Header, first: time.Since(at)}
	s.body, s.err = io.ReadAll(resp.Body)
	s.all = time.Since(at)
	return s
}

// fan is a viewer that has a connection already. It is as cheap as possible, since hundreds of them share the machine with the
// nodes.
type fan struct {
	c   net.Conn
	buf []byte
}

func newFan(t *testing.T, url string) *fan {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &fan{c, make([]byte, 64<<10)}
}

// follow compares a body with the expected one, and keeps nothing. It returns the times of its first and last bytes.
func (f *fan) follow(path string, want []byte) (h http.Header, first, last time.Time, err error) {
	_ = f.c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(f.c, "GET %s HTTP/1.1\r\nHost: nodes\r\n\r\n", path); err != nil {
		return h, first, last, err
	}
	have := 0
	for !bytes.Contains(f.buf[:have], []byte("\r\n\r\n")) {
		n, err := f.c.Read(f.buf[have:])
		if err != nil || n == 0 {
			return h, first, last, fmt.Errorf("no header in %d bytes: %v", have, err)
		}
		have += n
	}
	head, rest, _ := bytes.Cut(f.buf[:have], []byte("\r\n\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n"))), nil)
	if err != nil {
		return h, first, last, err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(want)) {
		return h, first, last, fmt.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
	for {
		if first.IsZero() && len(rest) > 0 {
			first = time.Now()
		}
		if len(rest) > len(want) || !bytes.Equal(want[:len(rest)], rest) {
			return h, first, last, errors.New("wrong bytes")
		}
		if want = want[len(rest):]; len(want) == 0 {
			return resp.Header, first, time.Now(), nil
		}
		n, err := f.c.Read(f.buf)
		if err != nil {
			return h, first, last, err
		}
		rest = f.buf[:n]
	}
}

// all runs a function for each of a number of viewers at once.
func all(count int, one func(i int)) {
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { one(i) })
	}
	wg.Wait()
}

// engine is a redis-server of its own.
type engine struct {
	addr string
	cmd  *exec.Cmd
	args []string
}

func newEngine(t *testing.T, args ...string) *engine {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") != "" {
			t.Fatal("redis-server is missing")
		}
		t.Skip("there is no redis-server")
	}
	e := &engine{addr: freePort(t), args: args}
	e.start(t)
	t.Cleanup(e.kill)
	return e
}

func (e *engine) start(t *testing.T) {
	_, port, _ := net.SplitHostPort(e.addr)
	e.cmd = exec.Command("redis-server", append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir(),
	}, e.args...)...)
	require.NoError(t, e.cmd.Start())
	require.Eventually(t, func() bool { return e.say("PING") == nil }, 20*time.Second, 10*time.Millisecond)
}

func (e *engine) signal(s syscall.Signal) { send(e.cmd.Process, s) }

func (e *engine) kill() {
	e.signal(syscall.SIGKILL)
	_ = e.cmd.Wait()
}

// say sends a command, and waits for the answer.
func (e *engine) say(command string) error {
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && strings.HasPrefix(line, "-") {
		err = fmt.Errorf("%s: %s", command, line)
	}
	return err
}
