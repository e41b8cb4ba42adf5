// Package servetest runs example programs in tests.
package servetest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Program is a running program.
type Program struct {
	URL string // the address that it prints

	mu   sync.Mutex
	said strings.Builder
}

// Start runs a program on a free port until the test ends, and requires a clean end.
func Start(t testing.TB, run func(context.Context, []string, io.Writer) error, args ...string) *Program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended, read := make(chan error, 1), make(chan struct{})
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		w.CloseWithError(err)
		ended <- err
	}()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	p := &Program{}
	go func() {
		defer close(read)
		io.Copy(p, out)
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		<-read
	})
	require.NoError(t, err)
	var ok bool
	p.URL, ok = strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	return p
}

// Write collects what the program prints.
func (p *Program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

// Said waits for n lines that begin with prefix, and returns the first word after each.
func (p *Program) Said(t testing.TB, prefix string, n int) []string {
	t.Helper()
	var words []string
	require.Eventually(t, func() bool {
		p.mu.Lock()
		text := p.said.String()
		p.mu.Unlock()
		words = nil
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok && strings.HasSuffix(line, "\n") {
				words = append(words, strings.Fields(rest)[0])
			}
		}
		return len(words) >= n
	}, time.Minute, 5*time.Millisecond, "the program never says %q", prefix)
	return words
}

// Fails requires that a program refuses its flags, and returns the reason.
func Fails(t testing.TB, run func(context.Context, []string, io.Writer) error, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := run(ctx, args, io.Discard)
	require.Error(t, err, "%v", args)
	return err.Error()
}

// Answer sends a request and returns the answer with its body. It follows no redirect.
func Answer(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// RequirePassedOn requires that a page of another site may send a field to this URL, and read it in the answer.
func RequirePassedOn(t testing.TB, target, field string) {
	t.Helper()
	ask := func(method string, header http.Header) http.Header {
		r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
		require.NoError(t, err)
		r.Header = header
		r.Header.Set("Origin", "https://page.example")
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.Header
	}
	preflight := http.Header{"Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {strings.ToLower(field)}}
	allowed := ask(http.MethodOptions, preflight).Get("Access-Control-Allow-Headers")
	require.Contains(t, allowed, field)
	require.Contains(t, allowed, "Range")
	exposed := ask(http.MethodGet, http.Header{}).Get("Access-Control-Expose-Headers")
	require.Contains(t, exposed, field)
	require.Contains(t, exposed, "Content-Range")
}
