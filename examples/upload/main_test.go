package main

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

func TestBadFlags(t *testing.T) {
	for says, args := range map[string][]string{
		"-dir is needed": {}, `-dir "/does/not/exist"`: {"-dir", "/does/not/exist"}, `"extra"`: {"-dir", ".", "extra"}, `-addr "127.0.0.1:-1"`: {"-dir", ".", "-addr", "127.0.0.1:-1"},
		"TTL": {"-dir", ".", "-key", "k", "-ttl", "-1s"}, "-key": {"-dir", ".", "-key", ""}, `"media.example" for flag -public`: {"-dir", ".", "-public", "media.example"},
		`"https://media.example/x" for flag -public`: {"-dir", ".", "-public", "https://media.example/x"},
		`"much" for flag -max`:                       {"-dir", ".", "-max", "much"},
	} {
		require.Contains(t, servetest.Fails(t, run, append([]string{"-addr", "127.0.0.1:0"}, args...)...), says)
	}
}

func TestPagesOfOtherNamesCannotReachALoopbackServer(t *testing.T) {
	fakeFFmpeg(t, "finish")
	base := start(t, "-dir", filmstest.Folder(t))
	for host, known := range map[string]bool{"rebound.example": false, "rebound.example:80": false, "localhost:80": true, "127.0.0.1": true, "[::1]:80": true} {
		resp, body := filmstest.Do(t, "POST", base+"/upload", "Host", host, "Origin", "http://"+host)
		require.Equal(t, map[bool]int{true: 400, false: 403}[known], resp.StatusCode, "%s: %s", host, body)
		resp, body = filmstest.Do(t, "GET", base+"/", "Host", host)
		require.Equal(t, map[bool]int{true: 200, false: 403}[known], resp.StatusCode, host)
		require.Equal(t, known, strings.Contains(body, "/vod/"), host)
	}
}
