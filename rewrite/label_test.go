package rewrite_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a body is goes by its first bytes, whatever its label and its name say.
func TestBytesDecideBeforeLabels(t *testing.T) {
	ts := strings.Repeat("G\x40\x00\x10"+strings.Repeat("\xff", 184), 4)
	mp4 := "\x00\x00\x00\x18ftypiso6\x00\x00\x00\x00iso6mp41" + strings.Repeat("\x00", 400)
	aac := "\xff\xf1\x50\x80\x02\x1f\xfc" + strings.Repeat("a", 300)
	key := "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
	for name, c := range map[string]struct {
		path, label, body string
		want              string // of the label; "": it stays
		status            int
	}{
		"a transport stream":        {"x.m3u8", "", ts, "", 200},
		"labelled":                  {"seg1.ts", "application/x-mpegURL", ts, "video/mp2t", 200},
		"labelled, no name":         {"x", "audio/mpegurl", ts, "video/mp2t", 200},
		"a film":                    {"x.mp4", "application/x-mpegURL", mp4, "video/mp4", 200},
		"a section":                 {"init", "application/vnd.apple.mpegurl", mp4, "video/mp4", 200},
		"sound":                     {"x", "audio/x-mpegurl", aac, "audio/aac", 200},
		"a key":                     {"k.key", "application/x-mpegURL", key, "application/octet-stream", 200},
		"a key of letters":          {"k.key", "application/x-mpegURL", "0123456789abcdef", "application/octet-stream", 200},
		"a key without a name":      {"k", "application/x-mpegURL", key, "application/octet-stream", 200},
		"captions":                  {"x.vtt", "application/x-mpegURL", "WEBVTT\n\n", "text/vtt", 200},
		"captions without a name":   {"x", "application/x-mpegURL", "WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n", "text/vtt", 200},
		"anything of a media name":  {"x.ts", "application/x-mpegURL", "abc", "video/mp2t", 200},
		"a page":                    {"x.m3u8", "text/html", "<!DOCTYPE html><p>Log in", "", 502},
		"a page, labelled":          {"x", "application/x-mpegURL", " \n<html>", "", 502},
		"JSON":                      {"x.m3u8", "application/json", `{"error":"gone"}`, "", 502},
		"XML":                       {"x.m3u8", "", `<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>`, "", 502},
		"text":                      {"x.m3u8", "text/plain", "Not found, sorry.\n", "", 502},
		"a text as long as a key":   {"x.m3u8", "text/plain", "not found at all", "", 502},
		"nothing":                   {"x.m3u8", "", "", "", 502},
		"nothing, of a media name":  {"x.ts", "application/x-mpegURL", "", "video/mp2t", 200},
		"nothing, of no name":       {"x", "application/x-mpegURL", "", "application/octet-stream", 200},
		"a key of letters, unnamed": {"k", "application/x-mpegURL", "0123456789abcdef", "application/octet-stream", 200},
		"SubRip":                    {"x", "application/x-mpegURL", "1\r\n00:00:01,000 --> 00:00:02,000\r\nHi\r\n", "application/x-subrip", 200},
		"SubRip of its name":        {"x.srt", "application/x-mpegURL", "1\n00:00:01,000 --> 00:00:02,000\nHi\n", "application/x-subrip", 200},
		"SubStation":                {"x", "application/x-mpegURL", "[Script Info]\nTitle: x\n", "text/x-ssa", 200},
		"any other text":            {"x", "application/x-mpegURL", "so it goes", "application/octet-stream", 200},
		"sound by its frames":       {"x", "audio/x-mpegurl", "\xff\xfb\x90\x64" + strings.Repeat("a", 300), "audio/mpeg", 200},
		"a page of a media name":    {"x.ts", "application/x-mpegURL", "<html>", "video/mp2t", 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp := response("https://cdn.example/live/"+c.path, c.label, c.body)
			before := resp.Header.Get("Content-Type")
			err := prefixed(t).ModifyResponse(resp)
			if c.status != 200 {
				require.Equal(t, c.status, status(err))
				if c.body != "" {
					require.ErrorContains(t, err, strings.Fields(strings.Trim(c.body, `{"<`))[0][:3], "the log says what came")
				}
			} else {
				require.NoError(t, err)
				got, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, c.body, string(got))
				require.Equal(t, map[bool]string{true: before, false: c.want}[c.want == ""], resp.Header.Get("Content-Type"))
			}

			h := prefixed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if w.Header()["Content-Type"] = nil; c.label != "" {
					w.Header().Set("Content-Type", c.label)
				}
				for i := range len(c.body) {
					_, err := io.WriteString(w, c.body[i:i+1])
					require.NoError(t, err)
				}
			}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/live/"+c.path, nil))
			if strings.HasSuffix(c.path, ".ts") || strings.HasSuffix(c.path, ".mp4") || strings.HasSuffix(c.path, ".key") || strings.HasSuffix(c.path, ".vtt") {
				return // Handler does not look at these
			}
			require.Equal(t, c.status, w.Code)
			if c.status == 200 {
				require.Equal(t, c.body, w.Body.String())
			}
		})
	}
}

// Of a media body under the label of a playlist no more is read than it takes.
func TestMediaUnderTheLabelOfAPlaylistStreams(t *testing.T) {
	text := strings.Repeat("G\x40\x00\x10"+strings.Repeat("\xff", 184), 4)
	body := &slow{text: text, allow: 188, err: errRead}
	resp := response("https://cdn.example/live/x", "application/x-mpegurl", "")
	resp.Body = body
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	got, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, errRead)
	require.Equal(t, text[:188], string(got))
}

func TestCodingsThatAreNoneAreDropped(t *testing.T) {
	for field, want := range map[string]string{
		"aws-chunked": "", "utf-8": "", "none": "", "binary": "", "identity": "", "": "", "aws-chunked, gzip": "gzip", "br": "br", "gzip": "",
	} {
		resp := response("https://cdn.example/live/x.ts", "video/mp2t", "G123")
		if field == "aws-chunked, gzip" {
			resp = response("https://cdn.example/live/x.ts", "video/mp2t", zipped(t, "gzip", "G123"))
		}
		resp.Header.Set("Content-Encoding", field)
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		require.Equal(t, want, resp.Header.Get("Content-Encoding"), "%q", field)
		require.Equal(t, want != "", len(resp.Header["Content-Encoding"]) > 0)
		_, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
	}
}

// A body may be packed often, or be its own packed form, and a header may say so fifty thousand times.
func TestABodyIsUnpackedAFewTimes(t *testing.T) {
	for layers, ok := range map[int]bool{5: true, 6: false, 100: false} {
		body := small
		for range layers {
			body = zipped(t, "gzip", body)
		}
		resp := response("https://cdn.example/live/ch1/x.m3u8", "", body)
		resp.Header.Set("Content-Encoding", strings.Repeat("gzip,", 1000))
		err := prefixed(t).ModifyResponse(resp)
		if !ok {
			require.ErrorContains(t, err, "too many content codings", layers)
			continue
		}
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, smallMapped, string(text))
	}
}
