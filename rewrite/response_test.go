package rewrite_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

const small = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n"

const smallMapped = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/p/ch1/seg1.ts\n"

func response(rawURL, mediaType, body string) *http.Response {
	u, err := url.Parse(rawURL)
	if err != nil {
		panic(err)
	}
	h := http.Header{}
	if mediaType != "" {
		h.Set("Content-Type", mediaType)
	}
	return &http.Response{
		StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
		Request: (&http.Request{Method: "GET", URL: u}).WithContext(context.Background()),
	}
}

func prefixed(t testing.TB) *rewrite.Rewriter {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	return &rewrite.Rewriter{Map: m}
}

func zipped(t testing.TB, kind, text string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		w, _ = flate.NewWriter(&b, 1)
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func utf16Of(order binary.AppendByteOrder, text string) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func TestModifyResponseRecognisesPlaylists(t *testing.T) {
	const at = "https://cdn.example/live/ch1/"
	for name, c := range map[string]struct {
		url, mediaType, encoding, body, want string
		status                               int // of the error; 0: none
	}{
		"type":                  {at + "x", "application/vnd.apple.mpegurl", "", small, smallMapped, 0},
		"type in any case":      {at + "x", "Audio/X-MPEGURL; charset=UTF-8", "", small, smallMapped, 0},
		"broken parameter":      {at + "x", "application/x-mpegurl; =", "", small, smallMapped, 0},
		"text":                  {at + "x", "text/plain", "", small, smallMapped, 0},
		"no type":               {at + "x", "", "", small, smallMapped, 0},
		"image":                 {at + "x.gif", "image/gif", "", small, smallMapped, 0},
		"byte order mark":       {at + "x", "text/plain", "", "\xef\xbb\xbf" + small, "\xef\xbb\xbf" + smallMapped, 0},
		"extension, video type": {at + "x.M3U8", "video/mp2t", "", small, smallMapped, 0},
		"gzip":                  {at + "x", "application/x-mpegurl", "gzip", zipped(t, "gzip", small), smallMapped, 0},
		"gzip unannounced":      {at + "x", "text/plain", "x-gzip", zipped(t, "gzip", small), smallMapped, 0},
		"zlib":                  {at + "x.m3u8", "", "deflate", zipped(t, "zlib", small), smallMapped, 0},
		"flate":                 {at + "x.m3u8", "", "Deflate", zipped(t, "flate", small), smallMapped, 0},
		"identity":              {at + "x.m3u8", "", "identity", small, smallMapped, 0},
		"comment before":        {at + "x.m3u8", "", "", "# hi\n" + small, "# hi\n" + smallMapped, 0},
		"text before, by type":  {at + "x", "audio/mpegurl", "", "hi\n" + small, "hi\n" + smallMapped, 0},
		"json type":             {at + "x", "application/json", "", small, smallMapped, 0},

		"video":                 {at + "x", "video/mp2t", "", "G" + small, "G" + small, 0},
		"playlist as video":     {at + "x", "video/mp2t", "", small, smallMapped, 0},
		"as audio":              {at + "x", "audio/aac", "", small, smallMapped, 0},
		"as a page":             {at + "x.png", "image/png", "", " \r\n" + small, " \r\n" + smallMapped, 0},
		"as aws-chunked":        {at + "x.m3u8", "", "aws-chunked", small, smallMapped, 0},
		"as aws-chunked gzip":   {at + "x.m3u8", "", "aws-chunked, gzip", zipped(t, "gzip", small), smallMapped, 0},
		"as utf-8":              {at + "x.m3u8", "", "utf-8", small, smallMapped, 0},
		"EXTM3U8":               {at + "x.m3u8", "", "", "#EXTM3U8" + small[len("#EXTM3U"):], "#EXTM3U8" + smallMapped[len("#EXTM3U"):], 0},
		"UTF-16":                {at + "x.m3u8", "", "", utf16Of(binary.LittleEndian, small), smallMapped, 0},
		"UTF-16, big end first": {at + "x", "application/x-mpegurl", "", utf16Of(binary.BigEndian, "#EXTM3U\n#\U0001F600é\n/live/1.ts"), "#EXTM3U\n#\U0001F600é\n/p/1.ts", 0},
		"UTF-16, half a pair":   {at + "x.m3u8", "", "", utf16Of(binary.LittleEndian, small) + "#\x00\x3d\xd8#\x00\x0a", smallMapped + "#\ufffd#", 0},
		"UTF-16 in gzip":        {at + "x.m3u8", "", "gzip", zipped(t, "gzip", utf16Of(binary.BigEndian, small)), smallMapped, 0},
		"flate like a text":     {at + "x.m3u8", "", "deflate", zipped(t, "flate", "#EXTM3U\n#EXTINF:4,\n/live/1.ts\n"), "#EXTM3U\n#EXTINF:4,\n/p/1.ts\n", 0},
		"as br, cut in a rune":  {at + "x.m3u8", "", "br", "#EXTM3U\n/live/1.ts\n#" + strings.Repeat("é", 60), "#EXTM3U\n/p/1.ts\n#" + strings.Repeat("é", 60), 0},
		"as br, Latin-1":        {at + "x.m3u8", "", "br", "#EXTM3U\n#\xe9t\xe9\n/live/1.ts\n", "#EXTM3U\n#\xe9t\xe9\n/p/1.ts\n", 0},
		"gzip as deflate":       {at + "x.m3u8", "", "deflate", zipped(t, "gzip", small), smallMapped, 0},
		"gzip and more":         {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small) + "\r\n<!-- -->", smallMapped, 0},
		"gzip and zeros":        {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small) + strings.Repeat("\x00", 600), smallMapped, 0},
		"gzip without an end":   {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small)[:len(zipped(t, "gzip", small))-8], smallMapped, 0},
		"gzip of half an end":   {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small)[:len(zipped(t, "gzip", small))-3], smallMapped, 0},
		"gzip with a wrong sum": {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small)[:len(zipped(t, "gzip", small))-8] + "abcdefgh", smallMapped, 0},
		"gzip in two members":   {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small[:20]) + zipped(t, "gzip", "") + zipped(t, "gzip", small[20:]), smallMapped, 0},
		"gzip with a name":      {at + "x.m3u8", "", "gzip", "\x1f\x8b\x08\x1e" + zipped(t, "gzip", small)[4:10] + "\x02\x00abname\x00note\x00cc" + zipped(t, "gzip", small)[10:], smallMapped, 0},
		"zlib without a sum":    {at + "x.m3u8", "", "deflate", zipped(t, "zlib", small)[:len(zipped(t, "zlib", small))-4], smallMapped, 0},
		"as gzip, twice":        {at + "x.m3u8", "", "gzip, gzip", zipped(t, "gzip", small), smallMapped, 0},
		"in gzip twice":         {at + "x.m3u8", "", "gzip,gzip", zipped(t, "gzip", zipped(t, "gzip", small)), smallMapped, 0},
		"as br":                 {at + "x.m3u8", "", "br", small, smallMapped, 0},
		"as gzip":               {at + "x.m3u8", "", "gzip", small, smallMapped, 0},
		"as deflate":            {at + "x.m3u8", "", "deflate", small, smallMapped, 0},
		"a list":                {at + "x.m3u", "audio/x-mpegurl", "", "https://cdn.example/live/1.mp3\n", "/p/1.mp3\n", 0},
		"a list, with comments": {at + "x.m3u", "", "", "# my radio\nhttps://cdn.example/live/1.mp3\r\n2.mp3\r\n", "# my radio\n/p/1.mp3\r\n/p/ch1/2.mp3\r\n", 0},
		"a list of names":       {at + "x.m3u", "", "", "#EXTINF:5,\xe9t\xe9\n1 - one.mp3\r\n\r\n/live/b/2.ogg?x=1\n", "#EXTINF:5,\xe9t\xe9\n/p/ch1/1%20-%20one.mp3\r\n\r\n/p/b/2.ogg?x=1\n", 0},
		"as its own media":      {at + "x.aac", "audio/aac", "", small, smallMapped, 0},
		"as a segment":          {at + "x.ts", "video/mp2t", "", "\n" + small, "\n" + smallMapped, 0},
		"nearly a segment":      {at + "x.ts", "video/mp2t", "", "#EXTM3", "#EXTM3", 0},
		"html":                  {at + "x", "text/html", "", "<html>" + small, "<html>" + small, 0},
		"nearly":                {at + "x", "text/plain", "", "#EXTM3", "#EXTM3", 0},
		"nearly, half BOM":      {at + "x", "text/plain", "", "\xef\xbb#EXTM3U", "\xef\xbb#EXTM3U", 0},
		"empty":                 {at + "x", "text/plain", "", "", "", 0},
		"gzip of other":         {at + "x", "text/plain", "gzip", zipped(t, "gzip", "hello"), zipped(t, "gzip", "hello"), 0},
		"gzip, not really":      {at + "x", "text/plain", "gzip", "hello", "hello", 0},
		"unknown encoding":      {at + "x", "text/plain", "br", "\x1b\x05" + small, "\x1b\x05" + small, 0},
		"as br, no type":        {at + "x", "", "br", small, smallMapped, 0},

		"html for a playlist":       {at + "x.m3u8", "text/html", "", "<!doctype html>\n#EXTM3U\n", "", 502},
		"html by type":              {at + "x", "application/x-mpegurl", "", "<html>", "", 502},
		"json for a playlist":       {at + "x.m3u", "application/json", "", `{"error":1}`, "", 502},
		"empty playlist":            {at + "x.m3u8", "", "", "", "", 502},
		"playlist in br":            {at + "x.m3u8", "", "br", "\x1b\x05" + small, "", 502},
		"br like a text":            {at + "x.m3u8", "", "br", "[3\x00\xf8" + small, "", 502},
		"playlist in bad gzip":      {at + "x.m3u8", "", "gzip", "\x1f\x8b" + small, "", 502},
		"playlist in short gzip":    {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small)[:30], "", 502},
		"playlist in cut members":   {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small) + zipped(t, "gzip", small)[:25], "", 502},
		"playlist and a cut header": {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small) + "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xffname", "", 502},
		"playlist in a cut header":  {at + "x.m3u8", "", "gzip", "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xffname", "", 502},
		"playlist in short deflate": {at + "x.m3u8", "", "deflate", zipped(t, "flate", small)[:20], "", 502},
		"too large":                 {at + "x.m3u8", "", "", small + strings.Repeat("#", 5000), "", 502},
		"too large, decoded":        {at + "x.m3u8", "", "gzip", zipped(t, "gzip", small+strings.Repeat("#", 5000)), "", 502},
	} {
		t.Run(name, func(t *testing.T) {
			rw := prefixed(t)
			rw.MaxSize = 4096
			resp := response(c.url, c.mediaType, c.body)
			if c.encoding != "" {
				resp.Header.Set("Content-Encoding", c.encoding)
			}
			before := resp.Header.Clone()
			err := rw.ModifyResponse(resp)
			if c.status != 0 {
				require.Equal(t, c.status, status(err))
				require.NotContains(t, err.Error(), "cdn.example")
				return
			}
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, c.want, string(body))
			if c.want == c.body {
				if c.encoding == "gzip" && !strings.HasPrefix(c.body, "\x1f") {
					before.Del("Content-Encoding")
				}
				require.Equal(t, before, resp.Header)
				return
			}
			want := "application/vnd.apple.mpegurl"
			if strings.HasPrefix(name, "a list") {
				want = "audio/x-mpegurl"
			}
			require.Equal(t, want, resp.Header.Get("Content-Type"))
			require.Empty(t, resp.Header.Get("Content-Encoding"))
			require.EqualValues(t, len(body), resp.ContentLength)
		})
	}
}

func TestModifyResponseHeader(t *testing.T) {
	resp := response("https://cdn.example/live/ch1/x.m3u8", "text/plain", small)
	for _, name := range []string{
		"ETag", "Last-Modified", "Content-MD5", "Digest", "Repr-Digest", "Content-Digest", "Accept-Ranges", "Content-Range", "Content-Location",
	} {
		resp.Header.Set(name, "x")
	}
	resp.Header.Set("Age", "3")
	resp.Header.Set("Cache-Control", "public, max-age=2")
	resp.Header.Set("Content-Length", "77")
	resp.ContentLength = int64(len(small))
	resp.TransferEncoding = []string{"chunked"}
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	require.Equal(t, http.Header{
		"Age": {"3"}, "Cache-Control": {"public, max-age=2"}, "Content-Type": {"application/vnd.apple.mpegurl"}, "Content-Length": {"58"},
	}, resp.Header)
	require.EqualValues(t, 58, resp.ContentLength)
	require.Nil(t, resp.TransferEncoding)

	var w writes
	n, err := resp.Body.(io.WriterTo).WriteTo(&w)
	require.NoError(t, err)
	require.EqualValues(t, 58, n)
	require.Equal(t, []string{smallMapped}, []string(w))
	n, err = resp.Body.(io.WriterTo).WriteTo(&w)
	require.NoError(t, err)
	require.Zero(t, n)
}

type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestModifyResponseMarksViewersPlaylistsPrivate(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "private",
		"public, s-maxage=9, max-age=2":       "private, max-age=2",
		"no-store":                            "private, no-store",
		"Private, Max-Age=1, must-revalidate": "private, Max-Age=1, must-revalidate",
	} {
		resp := response("https://cdn.example/live/ch1/x.m3u8", "", small)
		resp.Header.Set("Cache-Control", in)
		resp.Header.Set("Surrogate-Control", "max-age=9")
		rw := prefixed(t)
		rw.Sign = rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) { return u, nil })
		require.NoError(t, rw.ModifyResponse(resp))
		require.Equal(t, want, resp.Header.Get("Cache-Control"))
		require.Empty(t, resp.Header.Get("Surrogate-Control"))
	}
}

func TestModifyResponseToHead(t *testing.T) {
	for mediaType, want := range map[string]string{"audio/mpegurl": "application/vnd.apple.mpegurl", "video/mp2t": "video/mp2t"} {
		resp := response("https://cdn.example/live/ch1/x", mediaType, "")
		resp.Request.Method = "HEAD"
		resp.Header.Set("ETag", "x")
		resp.Header.Set("Content-Length", "77")
		resp.ContentLength = 77
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		require.Equal(t, want, resp.Header.Get("Content-Type"))
		if mediaType != want {
			require.Empty(t, resp.Header.Get("ETag"))
			require.Empty(t, resp.Header.Get("Content-Length"))
			require.EqualValues(t, -1, resp.ContentLength)
		}
	}
}

func TestModifyResponseTouchesWhatPlayersTakeForADocument(t *testing.T) {
	for _, code := range []int{200, 201, 203, 226} {
		resp := response("https://cdn.example/live/ch1/x.m3u8", "application/x-mpegurl", small)
		resp.StatusCode = code
		body := resp.Body
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		require.NotEqual(t, body, resp.Body, code)
	}
	for _, code := range []int{204, 205, 206, 304, 301, 404, 500} {
		resp := response("https://cdn.example/live/ch1/x.m3u8", "application/x-mpegurl", small)
		resp.StatusCode = code
		body := resp.Body
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		require.Equal(t, body, resp.Body)
	}
	resp := response("https://cdn.example/live/ch1/x.m3u8", "application/x-mpegurl", small)
	resp.Body = nil
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	resp = response("https://cdn.example/", "", "#EXTM3U\nx")
	resp.Request = nil
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "#EXTM3U\nx", string(text))
}

// slow is a body that gives one byte a read and fails the test when asked for more than allowed.
type slow struct {
	text   string
	allow  int
	err    error
	closed bool
}

func (s *slow) Read(p []byte) (int, error) {
	if s.allow == 0 {
		return 0, s.err
	}
	s.allow--
	n := copy(p[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

func (s *slow) Close() error { s.closed = true; return nil }

var errRead = errors.New("read too far")

func TestModifyResponseNeverWaitsForMoreThanItNeeds(t *testing.T) {
	for _, c := range []struct {
		mediaType, text string
		allow           int
	}{
		{"video/mp2t", "GEXTM3U", 1}, {"audio/aac", "#EXTX", 5}, {"application/octet-stream", "GEXT", 1}, {"", "#EXTX-", 5},
		{"application/octet-stream", "\xef\xbbX", 3},
	} {
		resp := response("https://cdn.example/live/x", c.mediaType, "")
		body := &slow{text: c.text, allow: c.allow, err: errRead}
		resp.Body = body
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		got, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, errRead)
		require.Equal(t, c.text[:c.allow], string(got))
		require.NoError(t, resp.Body.Close())
		require.True(t, body.closed)
	}
}

func TestModifyResponsePassesErrorsOfTheBodyOn(t *testing.T) {
	resp := response("https://cdn.example/live/x.m3u8", "", "")
	body := &slow{text: small, allow: 9, err: errRead}
	resp.Body = body
	err := prefixed(t).ModifyResponse(resp)
	require.ErrorIs(t, err, errRead)
	require.Equal(t, http.StatusTeapot, status(err), "the status depends on the cause")
	require.True(t, body.closed)

	resp = response("https://cdn.example/live/x", "text/plain", "")
	resp.Body = &slow{text: small, allow: 3, err: errRead}
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	var w writes
	_, err = io.Copy(&w, resp.Body)
	require.ErrorIs(t, err, errRead)
	require.Equal(t, "#EX", strings.Join(w, ""))
}

// An endless body of the wrong kind is read no further than the limit.
func TestModifyResponseBoundsWhatItReads(t *testing.T) {
	resp := response("https://cdn.example/live/x.m3u8", "", "")
	body := &slow{text: strings.Repeat("#", 1<<20), allow: 1 << 20}
	resp.Body = body
	rw := prefixed(t)
	rw.MaxSize = 1000
	require.Equal(t, 502, status(rw.ModifyResponse(resp)))
	require.Greater(t, body.allow, 1<<20-1100)
	require.True(t, body.closed)

	resp = response("https://cdn.example/live/x.m3u8", "", small)
	resp.ContentLength = 1001
	require.Equal(t, 502, status(rw.ModifyResponse(resp)))
}

func TestModifyResponseResolvesAgainstTheLastURL(t *testing.T) {
	resp := response("https://user:pw@cdn.example/live/a%2Fb/x%20y/z.m3u8?q=1#f", "", small)
	require.NoError(t, (&rewrite.Rewriter{}).ModifyResponse(resp))
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "\nhttps://cdn.example/live/a%2Fb/x%20y/seg1.ts\n")
}

// Whether a playlist says how long it is makes no difference.
func TestModifyResponseDefaultLimits(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		size     int
		declared bool
		encoding string
		ok       bool
	}{
		"declared":                    {8*mib - 1, true, "", true},
		"declared, too large":         {8*mib + 1, true, "", false},
		"undeclared":                  {8*mib - 1, false, "", true},
		"undeclared, too large":       {8*mib + 1, false, "", false},
		"compressed":                  {8*mib - 1, true, "gzip", true},
		"compressed, too large":       {8*mib + 1, true, "gzip", false},
		"more than 8 MiB, compressed": {64 * mib, true, "gzip", false},
	} {
		const line = 1 << 10
		text := "#EXTM3U\n" + strings.Repeat("#"+strings.Repeat(" ", line-2)+"\n", (c.size-len("#EXTM3U\n"))/line)
		text += strings.Repeat("\n", c.size-len(text))
		body := text
		if c.encoding != "" {
			body = zipped(t, c.encoding, text)
		}
		resp := response("https://cdn.example/live/x.m3u8", "", body)
		if c.declared {
			resp.ContentLength = int64(len(body))
		}
		if c.encoding != "" {
			resp.Header.Set("Content-Encoding", c.encoding)
		}
		err := prefixed(t).ModifyResponse(resp)
		if !c.ok {
			require.Equal(t, 502, status(err), name)
			continue
		}
		require.NoError(t, err, name)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err, name)
		require.True(t, text == string(got), name)
	}
}

// peekable is a body that shows its next byte.
type peekable struct {
	slow
	peeked int
}

func (p *peekable) PeekByte() (byte, error) {
	p.peeked++
	switch {
	case p.err != nil && p.allow == 0:
		return 0, p.err
	case p.text == "":
		return 0, io.EOF
	}
	return p.text[0], nil
}

func TestModifyResponseTakesNoByteFromABodyThatShowsIt(t *testing.T) {
	for name, row := range map[string]struct {
		text  string
		allow int
		want  string
	}{
		"media":      {"GEXTM3U-", 8, "GEXTM3U-"},
		"a playlist": {"#EXTM3U\n#EXTINF:1,\nhttps://cdn.example/live/1.ts\n", 1000, "#EXTM3U\n#EXTINF:1,\n/p/1.ts\n"},
		"broken":     {"GEXTM3U", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := &peekable{slow: slow{text: row.text, allow: row.allow, err: errRead}}
			if row.allow > len(row.text) {
				body.err = io.EOF
			}
			resp := response("https://cdn.example/live/x.ts", "video/mp2t", "")
			resp.Body, resp.ContentLength = body, -1
			require.NoError(t, prefixed(t).ModifyResponse(resp))
			require.Equal(t, 1, body.peeked)
			if name != "a playlist" {
				require.Same(t, body, resp.Body)
			}
			got, err := io.ReadAll(resp.Body)
			require.Equal(t, row.want, string(got))
			require.Equal(t, name != "a playlist", errors.Is(err, errRead))
		})
	}
}

// The byte that was looked at does not go out in a Write of its own.
func TestTheFirstByteOfMediaIsReadWithTheNext(t *testing.T) {
	for name, row := range map[string]struct {
		text  string
		room  int
		reads []string
	}{
		"much room":   {"GEXTM3U-", 5, []string{"GEXTM", "3U-"}},
		"little room": {"GEX", 1, []string{"G", "E", "X"}},
		"one byte":    {"G", 5, []string{"G"}},
		"nothing":     {"", 5, nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp := response("https://cdn.example/live/x.ts", "video/mp2t", "")
			resp.Body, resp.ContentLength = io.NopCloser(struct{ io.Reader }{strings.NewReader(row.text)}), -1
			require.NoError(t, prefixed(t).ModifyResponse(resp))
			var reads []string
			for p := make([]byte, row.room); ; {
				n, err := resp.Body.Read(p)
				if n > 0 {
					reads = append(reads, string(p[:n]))
				}
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
			}
			require.Equal(t, row.reads, reads)
		})
	}
}

// miser is a body that sends little, and notes the most room that a Read of it had for each byte that came before.
type miser struct {
	io.Reader
	came, most int
}

func (m *miser) Read(p []byte) (int, error) {
	if room := len(p) - 4*m.came; room > m.most {
		m.most = room
	}
	n, err := m.Reader.Read(p)
	m.came += n
	return n, err
}

func TestALengthThatIsOnlyDeclaredTakesNoMemory(t *testing.T) {
	line := "#EXTINF:4,\nseg1.ts\n"
	long := small + strings.Repeat(line, 6<<20/len(line))
	for name, c := range map[string]struct {
		body     string
		declared int64
		fails    bool
	}{
		"nothing comes":        {"", 8 << 20, true},
		"a little comes":       {small, 8 << 20, true},
		"half comes":           {long[:4<<20], 8 << 20, true},
		"all comes":            {long, int64(len(long)), false},
		"more comes":           {long, 200 << 10, false},
		"a short one comes":    {small, int64(len(small)), false},
		"no length, all comes": {long, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			broken := io.Reader(strings.NewReader(""))
			if c.fails {
				broken = iotest.ErrReader(io.ErrUnexpectedEOF)
			}
			body := &miser{Reader: io.MultiReader(strings.NewReader(c.body), broken)}
			resp := response("https://cdn.example/live/ch1/x.m3u8", "application/vnd.apple.mpegurl", "")
			resp.Body, resp.ContentLength = io.NopCloser(body), c.declared
			err := prefixed(t).ModifyResponse(resp)
			if c.declared >= 0 {
				require.LessOrEqual(t, body.most, 1<<20)
			}
			if c.fails {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				return
			}
			require.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, strings.ReplaceAll(c.body, "seg1.ts", "/p/ch1/seg1.ts"), string(got))
		})
	}
}

// The largest number means no limit to those who write it: nothing may be added to it. A length may be more than an int holds.
func TestAnyMaxSizeAdmitsADocument(t *testing.T) {
	comment := "# " + strings.Repeat("x", 1000) + "\n"
	for name, size := range map[string]int64{"the largest": math.MaxInt64, "one less": math.MaxInt64 - 1} {
		for length, announced := range map[string]int64{"its length": int64(len(small + comment)), "no length": -1, "a long one": 3 << 30} {
			t.Run(name+", "+length, func(t *testing.T) {
				rw := prefixed(t)
				rw.MaxSize = size
				resp := response("https://cdn.example/live/ch1/x.m3u8", "application/vnd.apple.mpegurl", small+comment)
				resp.ContentLength = announced
				require.NoError(t, rw.ModifyResponse(resp))
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, smallMapped+comment, string(text))
			})
		}
	}
}

// endless is a body of bytes that begin in some way and then repeat for ever.
type endless struct {
	start, text string
	taken       int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		if at := e.taken + i; at < len(e.start) {
			p[i] = e.start[at]
		} else {
			p[i] = e.text[(at-len(e.start))%len(e.text)]
		}
	}
	if e.taken += len(p); e.taken > 16<<20 {
		return 0, errors.New("nobody reads as much")
	}
	return len(p), nil
}

// An origin may send compressed bytes that stand for nothing. They are not collected until it ends.
func TestCompressedNothingIsNotCollected(t *testing.T) {
	const gzipHeader, empty = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "\x00\x00\x00\xff\xff"
	for name, c := range map[string]struct{ coding, start, text string }{
		"gzip":    {"gzip", gzipHeader, empty},
		"members": {"gzip", "", zipped(t, "gzip", "")},
		"deflate": {"deflate", "\x78\x9c", empty},
	} {
		t.Run(name, func(t *testing.T) {
			for _, label := range []string{"application/x-mpegurl", "text/plain"} {
				body := &endless{start: c.start, text: c.text}
				resp := response("https://cdn.example/live/x", label, "")
				resp.Body, resp.ContentLength = io.NopCloser(body), -1
				resp.Header.Set("Content-Encoding", c.coding)
				err := (&rewrite.Rewriter{}).ModifyResponse(resp)
				require.Less(t, body.taken, 2<<20)
				if label != "text/plain" {
					require.ErrorIs(t, err, rewrite.ErrTooLarge)
					continue
				}
				require.NoError(t, err)
				got, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
				require.NoError(t, err)
				want := make([]byte, len(got))
				_, _ = (&endless{start: c.start, text: c.text}).Read(want)
				require.True(t, bytes.Equal(want, got), "it passes as it came")
			}
		})
	}
}
