package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func request(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	}
	return w
}

func TestThePageMakesAndRevokes(t *testing.T) {
	who := &sessions{base: "http://h"}
	h := newBackend(who, "/live/index.m3u8")
	require.Contains(t, request(t, h, "GET", "/", "").Body.String(), "none yet")
	w := request(t, h, "POST", "/sessions", "viewer=%3Cb%3E&path=/live/a%20b/index.m3u8", "Accept", "text/html,*/*")
	require.Equal(t, http.StatusSeeOther, w.Code)
	page := request(t, h, "GET", "/", "").Body.String()
	require.Contains(t, page, "&lt;b&gt;")
	require.Contains(t, page, "http://h/live/a%20b/index.m3u8?token=")
	require.Contains(t, page, ">/live/a b/<", "it says what the link opens")

	var list []session
	require.NoError(t, json.Unmarshal(request(t, h, "GET", "/sessions", "").Body.Bytes(), &list))
	_, token, _ := strings.Cut(list[0].Link, "token=")
	ask := func(q sign.Question) int {
		body, err := json.Marshal(q)
		require.NoError(t, err)
		return request(t, h, "POST", "/ask", string(body)).Code
	}
	for name, status := range map[string]int{"live/a b": 200, "live/a b/low": 200, "live/a bc": 403, "live": 403, "": 403} {
		require.Equal(t, status, ask(sign.Question{Token: token, Name: name, ClientAddress: "192.0.2.1"}), name)
	}
	require.Equal(t, 403, ask(sign.Question{Token: "", Name: "live/a b"}))
	require.Contains(t, request(t, h, "GET", "/", "").Body.String(), "192.0.2.1")
	require.Equal(t, http.StatusSeeOther, request(t, h, "POST", "/revoke", "id=1", "Accept", "text/html").Code)
	require.Equal(t, 403, ask(sign.Question{Token: token, Name: "live/a b"}))
	require.Contains(t, request(t, h, "GET", "/", "").Body.String(), `>Revoked<`)
}

func TestTheBackendRefuses(t *testing.T) {
	h := newBackend(&sessions{base: "http://h"}, "/live/index.m3u8")
	for name, c := range map[string]struct {
		method, target, body string
		status               int
	}{
		"no such session":   {"POST", "/revoke", "id=1", 404},
		"no id":             {"POST", "/revoke", "", 404},
		"outside":           {"POST", "/sessions", "path=/other/index.m3u8", 400},
		"dots":              {"POST", "/sessions", "path=/live/../index.m3u8", 400},
		"query":             {"POST", "/sessions", "path=/live/index.m3u8?x", 400},
		"long name":         {"POST", "/sessions", "path=/live/index.m3u8&viewer=" + strings.Repeat("a", longestName+1), 400},
		"long path":         {"POST", "/sessions", "path=/live/" + strings.Repeat("a", longestPath), 400},
		"no JSON":           {"POST", "/ask", "x", 400},
		"revoked by a link": {"GET", "/revoke?id=1", "", 405},
		"unknown page":      {"GET", "/x", "", 404},
	} {
		require.Equal(t, c.status, request(t, h, c.method, c.target, c.body).Code, name)
	}
	require.Equal(t, 403, request(t, h, "POST", "/revoke", "id=1", "Sec-Fetch-Site", "cross-site").Code)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://rebound.example/sessions", nil))
	require.Equal(t, 403, w.Code)
}

func TestTheOldestSessionIsForgotten(t *testing.T) {
	var who sessions
	first, err := who.add("", "/live/index.m3u8")
	require.NoError(t, err)
	require.True(t, who.admits(sign.Question{Token: first.token, Name: "live"}))
	for range mostSessions {
		_, err := who.add("", "/live/index.m3u8")
		require.NoError(t, err)
	}
	require.False(t, who.admits(sign.Question{Token: first.token, Name: "live"}))
	require.Len(t, who.list(), mostSessions)
	require.False(t, who.revoke(first.ID))
	require.True(t, who.revoke(first.ID+1))
}

func TestRefusesToStart(t *testing.T) {
	for args, says := range map[string]string{
		"": "-origin is needed", "-x": "-x", "-origin h": `"h"`, "-origin ftp://h": `"ftp://h"`, "-origin http://h:0": `"http://h:0"`,
		"-origin http://h x": `"x"`, "-origin http://h -allow x": `"x" for flag -allow`, "-origin http://h -ask h": `"h" for flag -ask`,
		"-origin http://h -hold 0": "-hold 0", "-origin http://h -link /index.m3u8": `-link "/index.m3u8"`, "-origin http://h?x -ask http://h": `"http://h?x"`,
		"-origin http://h -addr x": `-addr "x"`,
	} {
		require.Contains(t, servetest.Fails(t, run, append([]string{"-addr", "127.0.0.1:0"}, strings.Fields(args)...)...), says, args)
	}
}
