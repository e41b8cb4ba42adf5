package sloppy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin/internal/sloppy"
	"github.com/stretchr/testify/require"
)

// tidy is the answer as its reader gets it.
func tidy(answer []byte) []byte {
	n := sloppy.End(answer)
	if n == 0 || sloppy.WellFormed(answer[:n]) {
		return answer
	}
	return append(sloppy.AppendTidy(nil, answer[:n]), answer[n:]...)
}

var errTwoEnds = errors.New("a length and chunks")

// parsed is a tidy answer as net/http reads it, in one line.
func parsed(answer []byte) (string, error) {
	if n := sloppy.End(answer); n > 0 && sloppy.HasTwoEnds(answer[:n]) {
		return "", errTwoEnds
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), &http.Request{Method: http.MethodGet})
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.ProtoMajor, resp.ProtoMinor, resp.StatusCode, resp.Header, resp.ContentLength, resp.TransferEncoding, resp.Close, body), err
}

func TestWhatPlayersTakeForAnAnswer(t *testing.T) {
	for name, row := range map[string]struct{ given, want string }{
		"radio":                  {"ICY 200 OK\r\nicy-name:x\r\ncontent-type:audio/mpeg\r\n\r\nabc", "HTTP/1.0 200 OK\r\nicy-name: x\r\ncontent-type: audio/mpeg\r\n\r\nabc"},
		"radio that refuses":     {"ICY 404 Resource Not Found\r\n\r\n", "HTTP/1.0 404 Resource Not Found\r\n\r\n"},
		"radio without a reason": {"icy 200\r\n\r\n", "HTTP/1.0 200 \r\n\r\n"},
		"version 2":              {"HTTP/2 200\r\nA: b\r\n\r\n", "HTTP/1.1 200 \r\nA: b\r\n\r\n"},
		"small letters":          {"http/1.0 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"},
		"no version":             {"HTTP 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"},
		"no blank":               {"HTTP/1.1 200OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		"blank lines in front":   {"\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nabc", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nabc"},
		"no colon":               {"HTTP/1.1 200 OK\r\nContent-Disposition = attachment; filename=a.ts\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
		"no colon, continued":    {"HTTP/1.1 200 OK\r\nX-Y\r\n z: 1\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"},
		"a name with blanks":     {"HTTP/1.1 200 OK\r\nSome thing: x\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
		"no name":                {"HTTP/1.1 200 OK\r\n: x\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
		"blanks before a colon":  {"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"blanks before a name":   {"HTTP/1.1 200 OK\r\n  A: b\r\nC: d\r\n\r\n", "HTTP/1.1 200 OK\r\nC: d\r\n\r\n"},
		"control characters":     {"HTTP/1.1 200 O\x01K\r\nA: b\x00c\x7f\rd\r\n\r\n", "HTTP/1.1 200 O K\r\nA: b c  d\r\n\r\n"},
		"status line twice":      {"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
		"another status line":    {"HTTP/1.1 200 OK\r\nHTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		"identity":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"identity and chunked":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"length twice in a line": {"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"none":                   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: None\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"binary, and empty":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: binary\r\nTransfer-Encoding:\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"none before chunked":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: none\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"a length and more":      {"HTTP/1.1 200 OK\r\nContent-Length: 3;\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"a length in bytes":      {"HTTP/1.1 200 OK\r\nContent-Length: 3 bytes\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"a length with a sign":   {"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"a length with a point":  {"HTTP/1.1 200 OK\r\nContent-Length: 3.00\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		"an empty length":        {"HTTP/1.1 200 OK\r\nContent-Length:\r\nA: b\r\n\r\nabc", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nabc"},
		"a length below zero":    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"a length in words":      {"HTTP/1.1 200 OK\r\nContent-Length: three\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"a length in hex":        {"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"half a byte":            {"HTTP/1.1 200 OK\r\nContent-Length: 3.5\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"beyond all, well":       {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"many zeros":             {"HTTP/1.1 200 OK\r\nContent-Length: 0000000000000000000000003\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 0000000000000000000000003\r\n\r\nabc"},
		"a length beyond all":    {"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615;\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc"},
		"line feeds":             {"ICY 200 OK\nA:b\n\nabc", "HTTP/1.0 200 OK\r\nA: b\r\n\r\nabc"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, string(tidy([]byte(row.given))))
			_, err := parsed([]byte(row.want))
			require.NoError(t, err)
		})
	}
}

// An answer that can be read as two different bodies is still refused.
func TestWhatIsNotGuessed(t *testing.T) {
	for name, header := range map[string]string{
		"two lengths":               "Content-Length: 3\r\nContent-Length: 5\r\n",
		"two lengths in a line":     "Content-Length: 3, 5\r\n",
		"two lengths, one odd":      "Content-Length: 3\r\nContent-Length : 5\r\n",
		"an odd length":             "Content-Length: 3\r\nContent\x00-Length: 5\r\n",
		"a length with underscores": "Content-Length: 3\r\nContent Length: 5\r\nContent_\x01Length: 5\r\n",
		"an odd chunked":            "Content-Length: 3\r\nTransfer-\x0bEncoding: chunked\r\n",
		"a number and words":        "Content-Length: 3\r\nContent-Length: three\r\n",
		"a length and an odd one":   "Content-Length: 3;\r\nContent_Length: 5\r\n",
		"an odd length and chunked": "Content-Length: 3;\r\nTransfer-Encoding: chunked\r\n",
		"below zero and chunked":    "Content-Length: -1\r\nTransfer-Encoding: none, chunked\r\n",
		"two odd lengths":           "Content-Length: 3;\r\nContent-Length: 5;\r\n",
		"two odd ones in a line":    "Content-Length: +3, 5\r\n",
		"an odd length, continued":  "Content-Length: 3;\r\n 5\r\n",
		"none, continued":           "Transfer-Encoding: none\r\n chunked\r\n",
		"nearly chunked":            "Transfer-Encoding: xchunked\r\n",
		"chunked and a parameter":   "Transfer-Encoding: chunked;a=b\r\n",
		"gzip":                      "Transfer-Encoding: gzip\r\n",
		"gzip and chunked":          "Transfer-Encoding: gzip, chunked\r\n",
		"chunked twice":             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"chunked twice in a line":   "Transfer-Encoding: chunked, chunked\r\n",
		"chunked and more":          "Transfer-Encoding: chunked\r\n x\r\n",
		"a length and chunked":      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"chunked and a length":      "transfer-encoding : Chunked\r\nX\r\ncontent-length: 13\r\n",
		"a length and two codings":  "Transfer-Encoding: identity, chunked\r\nContent-Length: 3, 3\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(tidy([]byte("HTTP/1.1 200 OK\r\n" + header + "\r\n3\r\nabc\r\n0\r\n\r\n")))
			require.Error(t, err)
		})
	}
	for _, answer := range []string{"SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "RTSP/1.0 200 OK\r\n\r\n", "ICY\r\n\r\n", "\r\n\r\n"} {
		_, err := parsed(tidy([]byte(answer)))
		require.Error(t, err, answer)
	}
}

func TestEnd(t *testing.T) {
	for given, want := range map[string]int{
		"": 0, "HTTP/1.1 200 OK": 0, "HTTP/1.1 200 OK\r\n": 0, "HTTP/1.1 200 OK\r\n\r": 0, "HTTP/1.1 200 OK\r\n\r\n": 19, "a\n\nb\n\n": 3, "\r\n\r\na\r\n\r\nb": 9, "\n\n\n": 0,
	} {
		require.Equal(t, want, sloppy.End([]byte(given)), "%q", given)
	}
}

// wellFormed is the grammar of RFC 9112 sections 4 and 5, with LF as a line end and with continued lines.
var wellFormed = regexp.MustCompile("(?s)^HTTP/1\\.[0-9] [0-9]{3}(| [^\x00-\x08\x0a-\x1f\x7f]*)\r?\n" +
	"([A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r?\n([ \t][^\x00-\x08\x0a-\x1f\x7f]*\r?\n)*)*\r?\n")

// FuzzTidy tests that a well-formed answer stays the same, that nothing refused for its framing passes, and that a second pass
// changes nothing.
func FuzzTidy(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "ICY 200 OK\r\nA:b\r\n\r\nx", "HTTP/1.1 200 OK\r\nA\r\n B: c\r\nTransfer-Encoding: identity\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 4\r\n\r\nabc", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: +3;\r\nTransfer-Encoding: none\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 000000000000000000003\r\n\r\nabc", "\r\n\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\n\r\n", "HTTP/1.0 302 \r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		given := bytes.Clone(answer)
		out := tidy(answer)
		if !bytes.Equal(answer, given) {
			t.Fatal("the input is changed")
		}
		before, refused := parsed(given)
		after, err := parsed(out)
		if refused == nil && wellFormed.Match(given) && (err != nil || before != after) {
			t.Fatalf("%q\nis  %s\nwas %s (%v)", given, after, before, err)
		}
		if again := tidy(bytes.Clone(out)); !bytes.Equal(again, out) && sloppy.End(out) > 0 {
			if third := tidy(bytes.Clone(again)); !bytes.Equal(third, again) {
				t.Fatalf("%q becomes %q and then %q", out, again, third)
			}
		}
		if n := sloppy.End(given); err == nil && n > 0 && lengths(given[:n]) > 1 {
			t.Fatalf("%q has two lengths and passes", given)
		}
		if n := sloppy.End(given); n > 0 && sloppy.WellFormed(given[:n]) && twoEnds.Match(given[:n]) {
			t.Fatalf("%q has a length and chunks and passes", given)
		}
	})
}

var twoEnds = regexp.MustCompile("(?is)\ncontent-length:.*\ntransfer-encoding:|\ntransfer-encoding:.*\ncontent-length:")

// lengths counts the different numbers that lines of a Content-Length have.
func lengths(header []byte) int {
	seen := map[string]bool{}
	for line := range strings.Lines(string(header)) {
		name, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(strings.TrimSpace(name), "content-length") && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			for v := range strings.SplitSeq(value, ",") {
				seen[strings.Trim(v, " \t\r\n")] = true
			}
		}
	}
	return len(seen)
}

func BenchmarkWellFormed(b *testing.B) {
	header := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: video/mp2t\r\nContent-Length: 1234567\r\n" +
		"Last-Modified: Mon, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"6593-12d687\"\r\nAccept-Ranges: bytes\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if !sloppy.WellFormed(header[:sloppy.End(header)]) {
			b.Fatal()
		}
	}
}
