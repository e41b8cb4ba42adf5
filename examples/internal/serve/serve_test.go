package serve_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/stretchr/testify/require"
)

func TestRunLetsAnswersFinish(t *testing.T) {
	ln, err := serve.Listen("addr", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	require.True(t, ln.Local())
	require.Equal(t, "http://"+ln.Self().String(), ln.URL())
	ctx, stop := context.WithCancel(t.Context())
	begun, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			io.WriteString(w, "whole")
		}))
	}()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(ln.URL())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer <- string(body) + errorText(err)
	}()
	<-begun
	stop()
	close(finish)
	require.Equal(t, "whole", <-answer)
	require.NoError(t, <-ended)
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestRunTellsOfAListenerThatEnds(t *testing.T) {
	ln, err := serve.Listen("addr", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	require.Error(t, serve.Run(t.Context(), ln, http.NotFoundHandler()))
}

func TestAnAddressOnAllIsAlsoOnLocalhost(t *testing.T) {
	ln, err := serve.Listen("addr", "0.0.0.0:0")
	require.NoError(t, err)
	defer ln.Close()
	require.False(t, ln.Local())
	require.Regexp(t, `^http://localhost:\d+$`, ln.URL())
}

// A client that takes nothing must not hold a stream of HTTP/2, and long answers are not cut.
func TestServersHaveTimeLimits(t *testing.T) {
	s := serve.NewServer(http.NotFoundHandler())
	require.Equal(t, 30*time.Second, s.HTTP2.WriteByteTimeout)
	require.Equal(t, 10*time.Second, s.ReadHeaderTimeout)
	require.Zero(t, s.WriteTimeout)
	require.Zero(t, s.ReadTimeout)
}

type options struct {
	allow   []netip.Prefix
	origins serve.Origins
	size    int64
	key     serve.Key
	public  string
	names   []string
}

func parse(args ...string) (o options, err error) {
	flags := serve.NewFlags("test")
	flags.Allow(&o.allow, "`CIDR`")
	flags.Origins(&o.origins, "`URL`")
	flags.Size(&o.size, "size", "`SIZE`")
	flags.Key(&o.key, "`SECRET`")
	flags.Public(&o.public)
	flags.Bool("quick", false, "")
	flags.Duration("wait", 0, "")
	flags.Int("viewers", 0, "")
	flags.Strings(&o.names, "name", "`NAME`")
	return o, flags.Parse(args)
}

// Each error quotes the flag and its value, and says what to write.
func TestErrorsOfFlags(t *testing.T) {
	for args, says := range map[string][]string{
		"-allow 10.0.0.0":           {"-allow", `"10.0.0.0"`, "127.0.0.0/8"},
		"-origin ftp://h":           {"-origin", `"ftp://h"`, "http://HOST"},
		"-origin http://h?x":        {"-origin", `"http://h?x"`, "http://HOST"},
		"-origin http://h:0":        {"-origin", `"http://h:0"`},
		"-origin http://h:x":        {"-origin", `"http://h:x"`},
		"-size much":                {"-size", `"much"`, "256MiB"},
		"-size -1":                  {"-size", `"-1"`},
		"-size 99999999999TiB":      {"-size", "99999999999TiB"},
		"-size 1.5GiB":              {"-size", "1.5GiB"},
		"-size 1gib":                {"-size", "1gib"},
		"-public media.example":     {"-public", `"media.example"`, "https://media.example.com"},
		"-public https://h/":        {"-public", `"https://h/"`},
		"-key=":                     {"-key", "variable of the shell"},
		"-key-file /does/not/exist": {"-key-file", `"/does/not/exist"`},
		"-key k -key-file /x":       {"-key", "-key-file"},
		"-quick=perhaps":            {"-quick", `"perhaps"`, "-quick=false"},
		"-wait soon":                {"-wait", `"soon"`, "90s"},
		"-wait 5":                   {"-wait", `"5"`, "90s"},
		"-viewers many":             {"-viewers", `"many"`, "25"},
		"-nonsense":                 {"-nonsense", "-help"},
		"stray":                     {`"stray"`, "-FLAG VALUE"},
	} {
		_, err := parse(strings.Fields(args)...)
		require.Error(t, err, args)
		for _, part := range says {
			require.Contains(t, err.Error(), part, args)
		}
		require.NotContains(t, err.Error(), "\n", "no usage follows")
	}
	_, err := serve.Listen("inside", "8080")
	require.ErrorContains(t, err, `-inside "8080": give HOST:PORT`)
	_, err = parse("-help")
	require.ErrorIs(t, err, flag.ErrHelp)
}

func TestFlags(t *testing.T) {
	o, err := parse("-allow", "10.0.0.0/8", "-allow", "::1/128", "-origin", "https://h", "-origin", "http://h:81/x/", "-size", "256MiB",
		"-public", "https://media.example", "-name", "a", "-name", "b")
	require.NoError(t, err)
	require.Len(t, o.allow, 2)
	require.Equal(t, []string{"https://h/", "http://h:81/x/"}, o.origins.URLs())
	require.Equal(t, []string{"h", "h"}, o.origins.Hosts())
	require.Equal(t, []string{"443", "81"}, o.origins.Ports())
	require.EqualValues(t, 256<<20, o.size)
	require.Equal(t, "https://media.example", o.public)
	require.Equal(t, []string{"a", "b"}, o.names)
	for text, want := range map[string]int64{"0": 0, "7": 7, "500MB": 5e8, "1GiB": 1 << 30, "3B": 3, "2KiB": 2048, "9223372036854775807": 1<<63 - 1} {
		o, err := parse("-size", text)
		require.NoError(t, err, text)
		require.Equal(t, want, o.size, text)
	}
	for size, want := range map[int64]string{0: "0 bytes", 1: "1 bytes", 4 << 30: "4 GiB", 5e8: "500 MB", 1000: "1 KB", 1025: "1025 bytes"} {
		require.Equal(t, want, serve.SizeName(size))
	}
}

func TestTheKeyNeedNotStandInTheListOfProcesses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	t.Setenv("HLSPROXY_KEY", "from the environment")
	for args, want := range map[string]serve.Key{"": "from the environment", "-key given": "given", "-key-file " + file: "from a file"} {
		o, err := parse(strings.Fields(args)...)
		require.NoError(t, err)
		require.Equal(t, want, o.key)
	}
	require.NoError(t, os.WriteFile(file, []byte(" \n"), 0o600))
	_, err := parse("-key-file", file)
	require.ErrorContains(t, err, "empty key")
	t.Setenv("HLSPROXY_KEY", "")
	o, err := parse()
	require.NoError(t, err)
	require.Empty(t, o.key)
}

func TestKeys(t *testing.T) {
	require.True(t, serve.Key("k").Is("k"))
	require.False(t, serve.Key("k").Is("l"))
	require.False(t, serve.Key("").Is(""), "where there is no key none is right")
	keys, err := serve.Key("k").Secret()
	require.NoError(t, err)
	require.Len(t, keys[0].Secret, 32)
	h := serve.Key("k").Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for password, status := range map[string]int{"": 401, "l": 401, "k": 204} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth("anyone", password)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, password)
	}
}

func TestLoopbackNames(t *testing.T) {
	for host, ok := range map[string]bool{
		"localhost": true, "LOCALHOST:80": true, "127.0.0.1": true, "127.3.2.1:80": true, "[::1]": true, "[::1]:80": true, "::1": true, "[::ffff:127.0.0.1]:1": true,
		"": false, "rebound.example": false, "rebound.example:80": false, "127.0.0.1.example": false, "localhost.example": false, "10.0.0.1": false, "[": false,
	} {
		require.Equal(t, ok, serve.IsLoopback(host), host)
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		serve.OnLoopback(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		require.Equal(t, map[bool]int{true: 200, false: 403}[ok], w.Code, host)
	}
}

func TestPagesAreNotFramed(t *testing.T) {
	for more, want := range map[string]string{"": "frame-ancestors 'none'", "default-src 'self'": "default-src 'self'; frame-ancestors 'none'"} {
		w := httptest.NewRecorder()
		serve.PageHeader(w, more)
		require.Equal(t, want, w.Header().Get("Content-Security-Policy"))
		require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
	}
}

func TestLogsHoldNoTokens(t *testing.T) {
	var text strings.Builder
	log.SetOutput(&text)
	defer log.SetOutput(os.Stderr)
	token := strings.Repeat("sealed", 20)
	r := httptest.NewRequest("GET", "/s/"+token+"/index.m3u8?hpt=secret", nil)
	serve.LogFailure(r, errors.New(`Get "https://origin.example/a.ts?token=secret": refused`))
	require.Contains(t, text.String(), `"/s/sealedse.../index.m3u8": Get "https://origin.example/a.ts?...": refused`)
	require.NotContains(t, text.String(), token)
	require.NotContains(t, text.String(), "secret")
}
