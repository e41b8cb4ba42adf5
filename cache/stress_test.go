package cache_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

var stressFor = flag.Duration("stress", 2*time.Second, "how long TestStress lasts, over all its configurations")

const stressed = "CACHE_STRESS" // the bound, for the process under stress

// TestStress lets viewers of all kinds loose on a process of its own, over HTTP/1 and HTTP/2, and checks every block that they
// get. In the end it checks how much more memory the process has taken than one without a cache: the bound, a fifth, and 40 KB
// a viewer. The flag -stress sets the time; with less than a minute it does only a part.
func TestStress(t *testing.T) {
	if bound, err := strconv.ParseInt(os.Getenv(stressed), 10, 64); err == nil {
		serveStress(bound, os.Getenv(stressed+"_ORIGIN"))
		return
	}
	kinds, versions, bounds := []string{"mixed", "resets"}, []int{2, 1}, []int64{noCache, 4 << 20, 16 << 20, 64 << 20}
	if *stressFor < time.Minute {
		kinds, versions, bounds = kinds[:1], versions[:1], bounds[:2]
	}
	each := *stressFor / time.Duration(len(kinds)*len(versions)*len(bounds))
	for _, kind := range kinds {
		for _, version := range versions {
			bare := int64(0)
			for _, bound := range bounds {
				t.Run(fmt.Sprintf("%s, HTTP/%d, %d", kind, version, bound), func(t *testing.T) {
					taken := stress(t, bound, version, kind, each)
					switch {
					case bound == noCache:
						bare = taken
					case !raceEnabled:
						require.LessOrEqual(t, taken-bare, bound*6/5+stressViewers*40<<10)
					}
				})
			}
		}
	}
}

const (
	noCache       = -1
	stressViewers = 150
)

// stress returns how much memory the process has taken.
func stress(t *testing.T, bound int64, version int, kind string, duration time.Duration) int64 {
	origin := httptest.NewServer(http.HandlerFunc(stressOrigin))
	defer origin.Close()
	child, address := startStressed(t, bound, origin.URL)
	client := stressClient(version)
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var wg sync.WaitGroup
	var whole, broken atomic.Int64
	for range stressViewers {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := stressOnce(ctx, client, address, kind)
				switch {
				case errors.Is(err, errWrong):
					t.Error(err)
				case err != nil:
					broken.Add(1)
				default:
					whole.Add(1)
				}
			}
		})
	}
	wg.Wait()
	taken := memoryOf(t, child.Process.Pid, "VmHWM")
	t.Logf("%d whole, %d broken or left; %.1f MiB of memory", whole.Load(), broken.Load(), float64(taken)/(1<<20))
	return taken
}

// startStressed runs this test in a process of its own.
func startStressed(t *testing.T, bound int64, origin string) (*exec.Cmd, string) {
	child := exec.Command(os.Args[0], "-test.run=^TestStress$", "-test.timeout=2h")
	child.Env = append(os.Environ(), stressed+"="+strconv.FormatInt(bound, 10), stressed+"_ORIGIN="+origin)
	in, err := child.StdinPipe() // it ends with this process
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		in.Close()
		_ = child.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			return child, address
		}
	}
	t.Fatal("the process under stress does not listen")
	return nil, ""
}

// serveStress is the process under stress: a cache and nothing else, until our input ends.
func serveStress(bound int64, origin string) {
	var c http.RoundTripper = &http.Transport{MaxIdleConnsPerHost: 100}
	if bound != noCache {
		c = &cache.Transport{Store: cache.NewMemory(bound), Base: c, Idle: 5 * time.Second}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, origin+r.URL.RequestURI(), nil)
		if err != nil {
			panic(err)
		}
		if v := r.Header.Values("Range"); v != nil {
			out.Header["Range"] = v
		}
		resp, err := c.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name, v := range resp.Header {
			w.Header()[name] = v
		}
		w.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(&patient{w, http.NewResponseController(w)}, resp.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	fmt.Println("listening on " + server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.CloseClientConnections()
}

// patient gives each Write some time.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(3 * time.Second))
	return p.ResponseWriter.Write(b)
}

func stressClient(version int) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: stressViewers, Protocols: new(http.Protocols)}
	if tr.Protocols.SetHTTP1(true); version == 2 {
		tr.Protocols.SetHTTP1(false)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{Transport: tr}
}

// block is the content of each 16 bytes of an object: its number and position.
func block(object, at int64) (b [16]byte) {
	binary.BigEndian.PutUint64(b[:], uint64(object)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(b[8:], uint64(at))
	return b
}

// sizeOf is between 16 bytes and 6 MiB.
func sizeOf(object int64) int64 {
	return int64(16) << (object * 7 % 19) * (2 + object%2) / 2
}

const stressObjects = 120

// stressOrigin serves objects: most correctly, some without a length, slowly, standing still or breaking off.
func stressOrigin(w http.ResponseWriter, r *http.Request) {
	object, err := strconv.ParseInt(strings.TrimSuffix(r.URL.Path[1:], ".ts"), 10, 64)
	if err != nil || object >= stressObjects {
		http.NotFound(w, r)
		return
	}
	h, size := w.Header(), sizeOf(object)
	h["Content-Type"] = []string{"video/mp2t"}
	if object%5 != 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if r.Method == http.MethodHead {
		return
	}
	fault := rand.IntN(40)
	for at := int64(0); at < size; at += 16 {
		b := block(object, at)
		if _, err := w.Write(b[:]); err != nil {
			return
		}
		if at == size/4/16*16 {
			switch fault {
			case 0:
				panic(http.ErrAbortHandler)
			case 1, 2, 3:
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(time.Duration(rand.IntN(3000)) * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		}
	}
}

var errWrong = errors.New("wrong bytes")

// stressOnce is one request of one viewer.
func stressOnce(ctx context.Context, client *http.Client, address, kind string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	object := rand.Int64N(stressObjects)
	if rand.IntN(3) > 0 {
		object %= 20 // most viewers watch the same
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%d.ts", address, object), nil)
	if err != nil {
		return err
	}
	at, end := int64(0), sizeOf(object)
	if rand.IntN(4) == 0 {
		at = rand.Int64N(end)
		end = at + rand.Int64N(end-at) + 1
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, end-1))
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		at, end = 0, sizeOf(object)
	case http.StatusPartialContent:
	default:
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	leaves := int64(-1)
	if kind == "resets" && rand.IntN(4) > 0 || rand.IntN(8) == 0 {
		leaves = rand.Int64N(100_000)
	}
	buf := make([]byte, 16<<10)
	for read := int64(0); ; {
		n, err := resp.Body.Read(buf)
		for i, c := range buf[:n] {
			if b := block(object, (at+int64(i))/16*16); c != b[(at+int64(i))%16] {
				return fmt.Errorf("%w: object %d at %d", errWrong, object, at+int64(i))
			}
		}
		at, read = at+int64(n), read+int64(n)
		switch {
		case err == io.EOF && at < end:
			return fmt.Errorf("%w: object %d: a clean end at %d of %d", errWrong, object, at, end)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case leaves >= 0 && read > leaves:
			return errors.New("left")
		}
		if kind == "mixed" && rand.IntN(2000) == 0 {
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Millisecond) // stands still
		}
	}
}

// memoryOf is the memory of a process as the system tells it; 0 if it does not.
func memoryOf(t *testing.T, pid int, field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if name, rest, _ := strings.Cut(line, ":"); name == field {
			_, err := fmt.Sscan(rest, &kib)
			require.NoError(t, err)
			return kib << 10
		}
	}
	return 0
}
