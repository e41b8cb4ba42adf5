package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// The pictures before segments, each of one pixel.
const (
	png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\n" +
		"IDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
	gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
	bmp = "BM:\x00\x00\x00\x00\x00\x00\x006\x00\x00\x00(\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00\x00\x00\x00\x00\x04\x00\x00\x00" +
		"\x13\x0b\x00\x00\x13\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x00"
	jpeg = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
)

// packets makes a transport stream, each packet after this many bytes of a timestamp.
func packets(n, time int) []byte {
	var out []byte
	for i := range n {
		out = append(out, make([]byte, time)...)
		packet := bytes.Repeat([]byte{byte(i)}, 188)
		copy(packet, []byte{0x47, 0x01, 0x00, 0x10 | byte(i)&0xf})
		out = append(out, packet...)
	}
	return out
}

// noise is n bytes that look like nothing known, always the same.
func noise(n int) string {
	random := rand.NewChaCha8([32]byte{})
	b := make([]byte, n)
	random.Read(b)
	b[0] = 0x90
	return string(b)
}

// inMemory is an origin without a network.
type inMemory struct {
	handler http.HandlerFunc
	mu      sync.Mutex
	log     []string // method, Range and If-None-Match of each request
}

func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.log = append(m.log, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")+" "+r.Header.Get("If-None-Match")))
	m.mu.Unlock()
	w := httptest.NewRecorder()
	m.handler(w, r)
	resp := w.Result()
	if resp.ContentLength < 0 && r.Method == http.MethodHead {
		fmt.Sscan(resp.Header.Get("Content-Length"), &resp.ContentLength)
	}
	resp.Request = r
	return resp, r.Context().Err()
}

func (m *inMemory) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.log
	m.log = nil
	return log
}

const tagOfJunk = `"v1"`

// holding is an origin with one body, labelled as a picture.
func holding(body []byte) *inMemory {
	return &inMemory{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"image/png"}
		w.Header()["Etag"] = []string{tagOfJunk}
		w.Header()["Content-Md5"] = []string{"of the origin's bytes"}
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(body))
	}}
}

// send sends a request with header fields given as pairs.
func send(t testing.TB, rt http.RoundTripper, method string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://a/seg1.png", nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Same(t, r, resp.Request)
	return resp, body
}

func TestTrimFindsThePrefix(t *testing.T) {
	ts := string(packets(30, 0))
	for name, row := range map[string]struct {
		body        string
		drop        int
		contentType string // "": the origin's
	}{
		"PNG":                                {png + ts, len(png), "video/mp2t"},
		"GIF":                                {gif + ts, len(gif), "video/mp2t"},
		"BMP":                                {bmp + ts, len(bmp), "video/mp2t"},
		"JPEG":                               {jpeg + ts, len(jpeg), "video/mp2t"},
		"PNG and three packets":              {png + ts[:3*188], len(png), "video/mp2t"},
		"PNG and two packets":                {png + ts[:2*188], 0, ""},
		"PNG alone":                          {png, 0, ""},
		"a large picture":                    {png + noise(100_000), 0, ""},
		"PNG and padding":                    {png + strings.Repeat("\xff", 1000) + ts, len(png) + 1000, "video/mp2t"},
		"PNG in front of packets of 192":     {png + string(packets(30, 4)), 0, ""},
		"noise":                              {noise(1000) + ts, 1000, "video/mp2t"},
		"noise and three packets":            {noise(1000) + ts[:3*188], 1000, "video/mp2t"},
		"noise and three packets and a bit":  {noise(1000) + ts[:3*188+10], 0, ""},
		"noise and two packets":              {noise(1000) + ts[:2*188], 0, ""},
		"4 KiB":                              {png + noise(4096-len(png)) + ts, 4096, "video/mp2t"},
		"more than 4 KiB":                    {png + noise(4097-len(png)) + ts, 0, ""},
		"much more than 4 KiB":               {png + noise(20_000) + ts, 0, ""},
		"a sync byte in front":               {"\x47" + noise(99) + ts, 100, "video/mp2t"},
		"clean":                              {ts, 0, "video/mp2t"},
		"one packet":                         {ts[:188], 0, "video/mp2t"},
		"packets of 192":                     {string(packets(30, 4)), 0, ""},
		"an encrypted segment":               {noise(188 * 40), 0, ""},
		"a key":                              {noise(16), 0, ""},
		"a key like a packet":                {"\x47\x01\x00\x10" + noise(12), 0, ""},
		"nothing":                            {"", 0, ""},
		"one byte":                           {"\x47", 0, ""},
		"playlist":                           {"#EXTM3U\n" + ts, 0, ""},
		"page":                               {"<!DOCTYPE html><p>" + ts, 0, ""},
		"captions":                           {"WEBVTT\n\n00:00.000 --> 00:01.000\n" + ts, 0, ""},
		"fragment of MP4 with packets in it": {"\x00\x00\x10\x00moof\x00\x00\x00\x10mfhd" + ts, 0, ""},
		"packets marked as broken":           {png + strings.ReplaceAll(ts, "\x47\x01", "\x47\x81"), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			base := holding([]byte(row.body))
			resp, body := send(t, origin.Trim(base, nil), http.MethodGet)
			require.Equal(t, row.body[row.drop:], string(body))
			require.EqualValues(t, len(body), resp.ContentLength)
			require.Equal(t, fmt.Sprint(len(body)), resp.Header.Get("Content-Length"))
			if row.contentType == "" {
				row.contentType = "image/png"
			}
			require.Equal(t, row.contentType, resp.Header.Get("Content-Type"))
			wantTag, digests := tagOfJunk, 1
			if row.drop > 0 {
				wantTag, digests = fmt.Sprintf(`"v1;%d"`, row.drop), 0
			}
			require.Equal(t, wantTag, resp.Header.Get("Etag"))
			require.Len(t, resp.Header["Content-Md5"], digests)
			require.Len(t, base.take(), 1)
		})
	}
}

// The answer to any request is that of an origin with clean bytes, whether the body is known or not.
func TestTrimAnswersLikeACleanOrigin(t *testing.T) {
	ts := packets(100, 0)
	size := len(ts)
	for name, row := range map[string]struct {
		header []string
		status int
		from   int
		to     int
	}{
		"whole":                       {nil, 200, 0, size},
		"head":                        {[]string{"Range", "bytes=0-99"}, 206, 0, 100},
		"first two":                   {[]string{"Range", "bytes=0-1"}, 206, 0, 2},
		"middle":                      {[]string{"Range", "bytes=9000-9999"}, 206, 9000, 10000},
		"last byte":                   {[]string{"Range", fmt.Sprintf("bytes=%d-%d", size-1, size-1)}, 206, size - 1, size},
		"over the end":                {[]string{"Range", fmt.Sprintf("bytes=%d-%d", size-5, size+50)}, 206, size - 5, size},
		"open":                        {[]string{"Range", "bytes=100-"}, 206, 100, size},
		"suffix":                      {[]string{"Range", "bytes=-500"}, 206, size - 500, size},
		"suffix that is too long":     {[]string{"Range", fmt.Sprintf("bytes=-%d", size+10)}, 206, 0, size},
		"behind the end":              {[]string{"Range", fmt.Sprintf("bytes=%d-", size)}, 416, 0, 0},
		"far behind":                  {[]string{"Range", "bytes=9223372036854775807-"}, 416, 0, 0},
		"nonsense":                    {[]string{"Range", "bytes=5-2"}, 200, 0, size},
		"If-Range":                    {[]string{"Range", "bytes=5-9", "If-Range", `"v1;70"`}, 206, 5, 10},
		"If-Range of the origin's":    {[]string{"Range", "bytes=5-9", "If-Range", `"v1"`}, 200, 0, size},
		"If-Range of another drop":    {[]string{"Range", "bytes=5-9", "If-Range", `"v1;1"`}, 200, 0, size},
		"If-Range of a date":          {[]string{"Range", "bytes=5-9", "If-Range", "Sun, 09 Sep 2001 01:46:40 GMT"}, 206, 5, 10},
		"If-None-Match":               {[]string{"If-None-Match", `"x", W/"v1;70"`}, 304, 0, 0},
		"If-None-Match of anything":   {[]string{"If-None-Match", "*"}, 304, 0, 0},
		"If-None-Match, origin's":     {[]string{"If-None-Match", `"v1"`}, 200, 0, size},
		"If-None-Match, another drop": {[]string{"If-None-Match", `"v1;1"`}, 200, 0, size},
		"If-None-Match and Range":     {[]string{"If-None-Match", `"v1;70"`, "Range", "bytes=5-9"}, 304, 0, 0},
		"If-Match":                    {[]string{"If-Match", `"v1;70"`}, 200, 0, size},
		"If-Match of the origin's":    {[]string{"If-Match", `"v1"`}, 412, 0, 0},
		"If-Modified-Since":           {[]string{"If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"}, 304, 0, 0},
		"If-Unmodified-Since":         {[]string{"If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:39 GMT"}, 412, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			row.header = strings.Split(strings.ReplaceAll(strings.Join(row.header, "\n"), ";70", fmt.Sprintf(";%d", len(png))), "\n")
			if len(row.header) == 1 {
				row.header = nil
			}
			base := holding(append([]byte(png), ts...))
			rt := origin.Trim(base, nil)
			for try := range 3 {
				resp, body := send(t, rt, http.MethodGet, row.header...)
				require.Equal(t, row.status, resp.StatusCode, "try %d", try)
				require.LessOrEqual(t, len(base.take()), 3)
				switch row.status {
				case 416:
					require.Equal(t, fmt.Sprintf("bytes */%d", size), resp.Header.Get("Content-Range"))
					continue
				case 304, 412:
					require.Empty(t, body)
					require.Empty(t, resp.Header.Get("Content-Type"))
					require.Equal(t, fmt.Sprintf(`"v1;%d"`, len(png)), resp.Header.Get("Etag"))
					continue
				case 206:
					require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", row.from, row.to-1, size), resp.Header.Get("Content-Range"))
				}
				require.True(t, bytes.Equal(ts[row.from:row.to], body))
				require.EqualValues(t, row.to-row.from, resp.ContentLength)
				require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
				require.Equal(t, fmt.Sprintf(`"v1;%d"`, len(png)), resp.Header.Get("Etag"))
			}
		})
	}
}

func TestTrimRemembers(t *testing.T) {
	base := holding(append([]byte(png), packets(100, 0)...))
	rt := origin.Trim(base, nil)
	send(t, rt, http.MethodGet, "Range", "bytes=0-99")
	require.Equal(t, []string{"GET bytes=0-8191", fmt.Sprintf("GET bytes=%d-%d", len(png), len(png)+99)}, base.take())
	send(t, rt, http.MethodGet, "Range", "bytes=-1")
	require.Len(t, base.take(), 1)
	send(t, rt, http.MethodHead)
	require.Equal(t, []string{"HEAD"}, base.take())
	send(t, rt, http.MethodGet, "If-None-Match", fmt.Sprintf(`"v1;%d"`, len(png)))
	require.Equal(t, []string{`GET  "v1"`}, base.take())
}

func TestTrimHEAD(t *testing.T) {
	for name, row := range map[string]struct {
		base     *inMemory
		requests int
	}{
		"ranges":    {holding(append([]byte(png), packets(100, 0)...)), 2},
		"no ranges": {&inMemory{handler: withoutRanges(append([]byte(png), packets(100, 0)...))}, 2},
		"no range of a HEAD, none of a GET without validator": {&inMemory{handler: func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.png", time.Time{}, bytes.NewReader(append([]byte(png), packets(100, 0)...)))
		}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := send(t, origin.Trim(row.base, nil), http.MethodHead, "Range", "bytes=0-5")
			require.Empty(t, body)
			require.Equal(t, 200, resp.StatusCode)
			require.EqualValues(t, 100*188, resp.ContentLength)
			require.Equal(t, "18800", resp.Header.Get("Content-Length"))
			require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
			require.Len(t, row.base.take(), row.requests)
		})
	}
}

func withoutRanges(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Header().Set("Content-Type", "image/png")
		w.Write(body)
	}
}

// The origin's version, with another prefix, changes between any two requests: no answer mixes the two.
func TestTrimAndAnotherVersion(t *testing.T) {
	ts := packets(100, 0)
	for name, validator := range map[string]func(h http.Header, version int){
		"strong tag": func(h http.Header, version int) { h.Set("Etag", fmt.Sprintf(`"%d"`, version)) },
		"weak tag":   func(h http.Header, version int) { h.Set("Etag", fmt.Sprintf(`W/"%d"`, version)) },
		"date": func(h http.Header, version int) {
			h.Set("Last-Modified", time.Unix(int64(1e9+version), 0).UTC().Format(http.TimeFormat))
		},
		"length alone": func(http.Header, int) {},
	} {
		t.Run(name, func(t *testing.T) {
			for changeAt := range 5 {
				version, requests := 0, 0
				base := &inMemory{handler: func(w http.ResponseWriter, r *http.Request) {
					if requests++; requests == changeAt+1 {
						version = 1
					}
					junk := []string{png, gif}[version]
					validator(w.Header(), version)
					http.ServeContent(w, r, "x.png", time.Time{}, strings.NewReader(junk+string(ts)))
				}}
				rt := origin.Trim(base, nil)
				for range 3 {
					resp, body := send(t, rt, http.MethodGet, "Range", "bytes=1000-1999")
					if resp.StatusCode == 200 {
						require.True(t, bytes.Equal(ts, body))
						continue
					}
					require.Equal(t, 206, resp.StatusCode)
					require.True(t, bytes.Equal(ts[1000:2000], body))
					require.Equal(t, "bytes 1000-1999/18800", resp.Header.Get("Content-Range"))
				}
			}
		})
	}
}

func TestTrimLeavesAlone(t *testing.T) {
	body := png + string(packets(30, 0))
	for name, row := range map[string]struct {
		method string
		status int
		header []string
	}{
		"coded":        {http.MethodGet, 200, []string{"Content-Encoding", "gzip"}},
		"not found":    {http.MethodGet, 404, nil},
		"error":        {http.MethodGet, 503, nil},
		"another part": {http.MethodGet, 206, []string{"Content-Range", "bytes 5-6/9"}},
		"POST":         {http.MethodPost, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			base := &inMemory{handler: func(w http.ResponseWriter, r *http.Request) {
				for i := 0; i < len(row.header); i += 2 {
					w.Header().Set(row.header[i], row.header[i+1])
				}
				w.WriteHeader(row.status)
				io.WriteString(w, body)
			}}
			resp, got := send(t, origin.Trim(base, nil), row.method)
			require.Equal(t, row.status, resp.StatusCode)
			require.Equal(t, body, string(got))
		})
	}
}

func TestTrimAboveAResumingPool(t *testing.T) {
	ts := packets(30, 0)
	whole := append([]byte(png), ts...)
	for _, cut := range []int{3, len(png), 1000} {
		n, pool := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}, Resume: true})
		calls := 0
		n.set("a", func(r *http.Request) (*http.Response, error) {
			if calls++; calls > 1 {
				return holding(whole).RoundTrip(r)
			}
			h := http.Header{"Etag": {tagOfJunk}, "Last-Modified": {time.Unix(1e9, 0).UTC().Format(http.TimeFormat)}}
			return &http.Response{StatusCode: 200, Header: h, ContentLength: int64(len(whole)), Request: r,
				Body: &breakAfter{bytes.NewReader(whole[:cut]), errRefused}}, nil
		})
		_, body := send(t, origin.Trim(pool, nil), http.MethodGet)
		require.True(t, bytes.Equal(ts, body))
		require.Equal(t, 2, calls)
	}
}

func TestTrimOfABodyThatBreaks(t *testing.T) {
	whole := append([]byte(png), packets(30, 0)...)
	for name, ending := range map[string]error{"reset": errRefused, "cut short": io.EOF} {
		for _, cut := range []int{0, 3, len(png), len(png) + 3*188, 2000, len(whole) - 1} {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) {
				base := &network{hosts: map[string]func(*http.Request) (*http.Response, error){}}
				base.set("a", func(r *http.Request) (*http.Response, error) {
					resp := &http.Response{StatusCode: 200, Header: http.Header{"Etag": {tagOfJunk}}, ContentLength: int64(len(whole)), Request: r}
					resp.Body = &breakAfter{bytes.NewReader(whole[:cut]), ending}
					return resp, nil
				})
				r, _ := http.NewRequest(http.MethodGet, "http://a/seg1.png", nil)
				resp, err := origin.Trim(base, nil).RoundTrip(r)
				if err != nil {
					require.Nil(t, resp)
					return
				}
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				require.Error(t, err)
				require.True(t, bytes.HasPrefix(whole[len(png):], got))
			})
		}
	}
}

// A body that is made while it is sent begins as soon as the prefix is known.
func TestTrimWaitsForNoMoreThanItNeeds(t *testing.T) {
	ts := packets(30, 0)
	for name, row := range map[string]struct {
		sent string
		want string
	}{
		"clean":    {string(ts[:3*188]), string(ts[:3*188])},
		"PNG":      {png + string(ts[:3*188]), string(ts[:3*188])},
		"MP4":      {"\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00", "\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00"},
		"captions": {"WEBVTT\n\n00:00.000", "WEBVTT\n\n00:00.000"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reader, writer := io.Pipe()
				base := &network{hosts: map[string]func(*http.Request) (*http.Response, error){}}
				base.set("a", func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: reader, Request: r}, nil
				})
				go func() {
					for i := range len(row.sent) {
						writer.Write([]byte{row.sent[i]})
					}
					time.Sleep(time.Hour)
					writer.CloseWithError(errRefused)
				}()
				r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://a/live.ts", nil)
				begun := time.Now()
				resp, err := origin.Trim(base, nil).RoundTrip(r)
				require.NoError(t, err)
				defer resp.Body.Close()
				got := make([]byte, len(row.want))
				_, err = io.ReadFull(resp.Body, got)
				require.NoError(t, err)
				require.Equal(t, row.want, string(got))
				require.Zero(t, time.Since(begun))
				_, err = io.ReadAll(resp.Body)
				require.ErrorIs(t, err, errRefused)
			})
		})
	}
}

func TestTrimWithAHookThatErrs(t *testing.T) {
	for name, row := range map[string]struct {
		drop int
		want string
	}{"below 0": {-5, "0123456789"}, "too much": {99, ""}, "right": {4, "456789"}} {
		t.Run(name, func(t *testing.T) {
			rt := origin.Trim(holding([]byte("0123456789")), func([]byte, bool, http.Header) (int, string, bool) { return row.drop, "a/b", true })
			resp, body := send(t, rt, http.MethodGet)
			require.Equal(t, row.want, string(body))
			require.Equal(t, "a/b", resp.Header.Get("Content-Type"))
		})
	}
	rt := origin.Trim(holding([]byte("0123456789")), func([]byte, bool, http.Header) (int, string, bool) { panic(errors.New("oops")) })
	r, _ := http.NewRequest(http.MethodGet, "http://a/seg1.png", nil)
	_, err := rt.RoundTrip(r)
	require.ErrorContains(t, err, "oops")
}

// FuzzTrim tests that the output is the end of the input, that each range is part of it, and that its length does not depend on
// how the bytes arrive.
func FuzzTrim(f *testing.F) {
	ts := packets(20, 0)
	for _, junk := range []string{"", png, gif, bmp, jpeg, noise(300), noise(4096), noise(4097), "\x47", "#EXTM3U\n"} {
		f.Add(append([]byte(junk), ts...), uint16(0), uint16(99))
		f.Add(append([]byte(junk), ts[:3*188]...), uint16(50), uint16(9999))
		f.Add([]byte(junk), uint16(0), uint16(0))
	}
	f.Fuzz(func(t *testing.T, body []byte, first, length uint16) {
		_, whole := send(t, origin.Trim(holding(body), nil), http.MethodGet)
		require.True(t, bytes.HasSuffix(body, whole))
		slow := &network{hosts: map[string]func(*http.Request) (*http.Response, error){}}
		slow.set("a", func(r *http.Request) (*http.Response, error) {
			resp, err := holding(body).RoundTrip(r)
			resp.Body = io.NopCloser(oneByte{resp.Body})
			return resp, err
		})
		_, again := send(t, origin.Trim(slow, nil), http.MethodGet)
		require.Equal(t, len(whole), len(again))

		resp, part := send(t, origin.Trim(holding(body), nil), http.MethodGet, "Range", fmt.Sprintf("bytes=%d-%d", first, int(first)+int(length)))
		switch resp.StatusCode {
		case 206:
			require.True(t, bytes.Equal(whole[first:min(len(whole), int(first)+int(length)+1)], part))
		case 416:
			require.GreaterOrEqual(t, int(first), len(whole))
		default:
			require.True(t, bytes.Equal(whole, part))
		}
		head, _ := send(t, origin.Trim(holding(body), nil), http.MethodHead)
		require.EqualValues(t, len(whole), head.ContentLength)
	})
}

type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }
