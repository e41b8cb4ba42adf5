package chaintest_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// What an origin may do with a request.
const (
	redirects = 1 << iota
	fails
	breaks
	answersHTML
	answersJSON
	refuses
)

// privateOrigin answers for all hosts. It sets a cookie, and repeats nothing that it gets.
type privateOrigin struct {
	how    uint8
	cookie string
}

func (o privateOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{"Set-Cookie": {"sid=" + o.cookie + "; Path=/"}, "Cache-Control": {"max-age=9"}}
	resp := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r, ContentLength: -1}
	body := strings.Repeat("media", 100)
	switch {
	case o.how&fails != 0 && strings.Contains(r.URL.Path, "fail"):
		return nil, fmt.Errorf("dial %s: %w", r.URL.Host, errors.New("refused"))
	case o.how&redirects != 0 && r.URL.Host == "a.example" && r.URL.RawQuery == "":
		resp.StatusCode, body = 302, "moved"
		h.Set("Location", "https://b.example"+r.URL.Path+"?moved")
	case o.how&refuses != 0 && strings.Contains(r.URL.Path, "fail"):
		resp.StatusCode, body = 403, "no"
	case strings.HasSuffix(r.URL.Path, ".m3u8") && o.how&answersHTML != 0 && strings.Contains(r.URL.Path, "fail"):
		body = "<html>"
	case strings.HasSuffix(r.URL.Path, "master.m3u8"):
		h.Set("Content-Type", "application/vnd.apple.mpegurl")
		body = "#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k.key\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhttps://b.example/fail.m3u8\n"
	case strings.HasSuffix(r.URL.Path, ".m3u8"):
		h.Set("Content-Type", "application/vnd.apple.mpegurl")
		body = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXTINF:4,\nhttps://c.example/fail.ts?x=1\n#EXTINF:4,\nhttps://u:p@b.example/2.ts\n"
	case o.how&answersJSON != 0:
		body = "{\"ASSETS\":[{\"URI\":\"https://a.example/x.m3u8\",\"DURATION\":1}]}"
		h.Set("Content-Type", "application/json")
	}
	from := io.Reader(strings.NewReader(body))
	if o.how&breaks != 0 && strings.Contains(r.URL.Path, "fail") {
		from = io.MultiReader(strings.NewReader(body[:len(body)/2]), brokenBody{})
	}
	resp.Body = io.NopCloser(from)
	return resp, nil
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// No byte of what is sealed into a link is ever visible to a viewer, in a field, a playlist or an error, or to the operator in
// a failure.
func FuzzSealedFieldsStayInside(f *testing.F) {
	f.Add("Referer", "https://site.example/", uint8(0), uint8(0))
	f.Add("Authorization", "Bearer abc", uint8(redirects|fails), uint8(1))
	f.Add("X-Token", "a b\tc", uint8(redirects|breaks), uint8(2))
	f.Add("Cookie", "a=1; b=2", uint8(answersHTML|answersJSON), uint8(3))
	f.Add("User-Agent", "\xff\xfe", uint8(refuses), uint8(4))
	f.Fuzz(func(t *testing.T, name, value string, how, ask uint8) {
		const mark = "zQ9secret" // the test searches for this
		value = mark + value
		o := privateOrigin{how, mark + "cookie"}
		keys := []sign.Key{{ID: "1", Secret: []byte("sixteen random bytes, or more")}}
		sealer, err := sign.NewSealer(sign.Config{Keys: keys, Scope: sign.Scope(ask >> 7)}, "/s/")
		require.NoError(t, err)
		up := sign.Upstream{Header: http.Header{name: {value}}, Cookies: true, Hosts: []string{"b.example"}}
		if ask&16 != 0 {
			up.Credentials = []string{name}
		}
		entry, err := sealer.URL("https://a.example/live/master.m3u8", up)
		if err != nil {
			return // such a field cannot be sealed
		}
		hidden := []string{mark, base64.StdEncoding.EncodeToString([]byte(mark)), base64.RawURLEncoding.EncodeToString([]byte(mark)), hex.EncodeToString([]byte(mark))}
		look := func(where, text string) {
			for _, h := range hidden {
				require.NotContains(t, text, h, where)
			}
		}
		rw := &rewrite.Rewriter{Map: sealer, Sign: sealer}
		h := sealer.Handler(rangeserve.Handler(&origin.Proxy{
			Upstream:  func(u *url.URL) (string, error) { return sealer.Upstream(u) },
			Transport: &cache.Transport{Base: o, Store: cache.NewMemory(1 << 20)}, ModifyResponse: rw.ModifyResponse,
			OnFailure: func(_ *http.Request, err error) { look("failure", err.Error()) },
		}))
		seen := 0
		for todo := []string{entry}; len(todo) > 0 && seen < 9; seen++ {
			link := todo[0]
			todo = todo[1:]
			look("link", link)
			r := httptest.NewRequest("GET", link, nil)
			switch ask & 3 {
			case 1:
				r.Method = http.MethodHead
			case 2:
				r.Header.Set("Range", "bytes=1-5")
			}
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if v := recover(); v != nil && v != http.ErrAbortHandler {
						panic(v)
					}
				}()
				h.ServeHTTP(w, r)
			}()
			look("body", w.Body.String())
			for field, values := range w.Header() {
				look(field, field+": "+strings.Join(values, ","))
			}
			require.Empty(t, w.Header()["Set-Cookie"])
			todo = append(todo, sealedLink.FindAllString(w.Body.String(), -1)...)
		}
		if how == 0 && ask&3 == 0 {
			require.Greater(t, seen, 5, "it has seen playlists and segments")
		}
	})
}

var sealedLink = regexp.MustCompile(`/s/[^"\s]+`)
