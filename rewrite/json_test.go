package rewrite_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func TestModifyResponseRewritesJSON(t *testing.T) {
	for name, c := range map[string]struct{ in, out string }{
		"asset list": {
			`{ "ASSETS" : [ {"URI":"https://cdn.example/live/a.m3u8","DURATION":1.50, "X": {"URI":"x"}}, {"DURATION":2,"URI" :"b.m3u8#f"},{"URI":""},{"URI":1},7 ], "SKIP-CONTROL":{"URI":"x"},"URI":"y"} ` + "\n",
			`{ "ASSETS" : [ {"URI":"https://me/p/a.m3u8","DURATION":1.50, "X": {"URI":"x"}}, {"DURATION":2,"URI" :"https://me/p/ch1/b.m3u8#f"},{"URI":""},{"URI":1},7 ], "SKIP-CONTROL":{"URI":"x"},"URI":"y"} ` + "\n",
		},
		"escapes": {
			`{"\u0041SSETS":[{"URI":"https:\/\/cdn.example\/live\/\u0061\".m3u8"}, {"URI":"https:\/\/other\/x"}, {"URI":"https://other/\\./x"}, {"URI":"data:x"}]}`,
			`{"\u0041SSETS":[{"URI":"https://me/p/a%22.m3u8"}, {"URI":"https:\/\/other\/x"}, {"URI":"https://other/\\./x"}, {"URI":"data:x"}]}`,
		},
		"no assets":  {`{"ASSETS":null}`, `{"ASSETS":null}`},
		"other":      {`{"a":["b",{"URI":"c"}],"VERSION":1}`, `{"a":["b",{"URI":"c"}],"VERSION":1}`},
		"array":      {`[{"URI":"c"}]`, `[{"URI":"c"}]`},
		"broken":     {`{"ASSETS":[{"URI":"a"}]`, `{"ASSETS":[{"URI":"a"}]`},
		"empty":      {" ", " "},
		"deep":       {`{"ASSETS":` + strings.Repeat("[", 20000), `{"ASSETS":` + strings.Repeat("[", 20000)},
		"empty text": {"", ""},
		"steering": {
			`{"VERSION":1,"TTL":300,"RELOAD-URI":"s.json?x","PATHWAY-PRIORITY":["a","b","c"],
 "PATHWAY-CLONES":[{"BASE-ID":"a","ID":"b","URI-REPLACEMENT":{"HOST":"b.example","PARAMS":{"q":"1"}}}, {"BASE-ID":"a","ID":"c","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v1":"https://cdn.example/live/c/v1.m3u8"},"PER-RENDITION-URIS":{"r1":"https://cdn.example/live/c/r1.m3u8","r2":3}}} ], "X":[1.0]}`,
			`{"VERSION":1,"TTL":300,"RELOAD-URI":"https://me/p/ch1/s.json?x","PATHWAY-PRIORITY":["a","b","c"],
 "PATHWAY-CLONES":[{"BASE-ID":"a","ID":"c","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v1":"https://me/p/c/v1.m3u8"},"PER-RENDITION-URIS":{"r1":"https://me/p/c/r1.m3u8","r2":3}}} ], "X":[1.0]}`,
		},
		"clones by host": {
			`{"PATHWAY-PRIORITY":[],"PATHWAY-CLONES":[ {"ID":"1"} , {"ID":"2","URI-REPLACEMENT":{"HOST":"x"}} , {"ID":"3","a":"\"]}"}, {"ID":"4","URI-REPLACEMENT":{"PARAMS":{}}} ]}`,
			`{"PATHWAY-PRIORITY":[],"PATHWAY-CLONES":[ {"ID":"1"}, {"ID":"3","a":"\"]}"}]}`,
		},
		"only clones by host": {
			`{"VERSION":1,"RELOAD-URI":"x","PATHWAY-CLONES":[{"URI-REPLACEMENT":{"HOST":"x"}}]}`,
			`{"VERSION":1,"RELOAD-URI":"https://me/p/ch1/x","PATHWAY-CLONES":[]}`,
		},
		"chapters": {
			`[ {"chapter":1,"start-time":0,"titles":[{"language":"en","title":"a"}],"images":[{"image-category":"x","pixel-width":1,"pixel-height":1,"url":"1.jpg"},{"url":"https:\/\/cdn.example\/live\/2.jpg"},{"url":1},3]},
 {"start-time":9.5,"images":[{"url":"data:image\/gif,x"}],"metadata":[{"key":"url","value":"u"}]}, {"images":[{"url":"c"}]}, 5, {"start-time":1,"images":{"url":"d"},"url":"e"} ]`,
			`[ {"chapter":1,"start-time":0,"titles":[{"language":"en","title":"a"}],"images":[{"image-category":"x","pixel-width":1,"pixel-height":1,"url":"https://me/p/ch1/1.jpg"},{"url":"https://me/p/2.jpg"},{"url":1},3]},
 {"start-time":9.5,"images":[{"url":"data:image\/gif,x"}],"metadata":[{"key":"url","value":"u"}]}, {"images":[{"url":"c"}]}, 5, {"start-time":1,"images":{"url":"d"},"url":"e"} ]`,
		},
		"3 MiB": {
			`{"VERSION":1,` + strings.Repeat(" ", 3<<20) + `"RELOAD-URI":"x"}`,
			`{"VERSION":1,` + strings.Repeat(" ", 3<<20) + `"RELOAD-URI":"https://me/p/ch1/x"}`,
		},
		"an object in place of assets": {`{"ASSETS":{"URI":"a"}}`, `{"ASSETS":{"URI":"a"}}`},
		"no clones":                    {`{"VERSION":1,"PATHWAY-CLONES":[]}`, `{"VERSION":1,"PATHWAY-CLONES":[]}`},
		"odd types":                    {`{"PATHWAY-PRIORITY":1,"PATHWAY-CLONES":[1,"x",{"URI-REPLACEMENT":[]}],"RELOAD-URI":{}}`, `{"PATHWAY-PRIORITY":1,"PATHWAY-CLONES":[1,"x",{"URI-REPLACEMENT":[]}],"RELOAD-URI":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, encoding := range []string{"", "gzip"} {
				rw := prefixed(t)
				rw.Public = "https://me"
				in, kept := c.in, c.in
				if encoding != "" {
					in = zipped(t, encoding, c.in)
					kept = in
				}
				resp := response("https://cdn.example/live/ch1/list.json", "application/json", in)
				resp.Header.Set("ETag", "x")
				if encoding != "" {
					resp.Header.Set("Content-Encoding", encoding)
				}
				require.NoError(t, rw.ModifyResponse(resp))
				got, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				if c.in == c.out {
					require.Equal(t, kept, string(got))
					require.Equal(t, "x", resp.Header.Get("ETag"))
					continue
				}
				require.Equal(t, c.out, string(got))
				require.EqualValues(t, len(got), resp.ContentLength)
				require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
				require.Empty(t, resp.Header.Get("ETag"))
				require.Empty(t, resp.Header.Get("Content-Encoding"))
			}
		})
	}
}

func TestClonesStayWherePlayersSeeUpstreamURLs(t *testing.T) {
	const in = `{"VERSION":1,"RELOAD-URI":"x","PATHWAY-CLONES":[{"URI-REPLACEMENT":{"HOST":"x"}}]}`
	resp := response("https://cdn.example/s", "application/vnd.apple.steering-list", in)
	require.NoError(t, (&rewrite.Rewriter{}).ModifyResponse(resp))
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(in, `"x"`, `"https://cdn.example/x"`, 1), string(got))
}

func TestJSONThatCannotBeRewrittenPassesWhole(t *testing.T) {
	const in = `{"ASSETS":[{"URI":"https://cdn.example/live/x"}]}`
	coded := "\x1f\x8b" + in
	for name, change := range map[string]func(*rewrite.Rewriter, *http.Response){
		"too large": func(rw *rewrite.Rewriter, _ *http.Response) { rw.MaxSize = 9 },
		"unknown encoding": func(_ *rewrite.Rewriter, resp *http.Response) {
			resp.Header.Set("Content-Encoding", "br")
			resp.Body = io.NopCloser(strings.NewReader(coded))
		},
		"not in gzip": func(_ *rewrite.Rewriter, resp *http.Response) {
			resp.Header.Set("Content-Encoding", "gzip")
			resp.Body = io.NopCloser(strings.NewReader(coded))
		},
	} {
		t.Run(name, func(t *testing.T) {
			rw := prefixed(t)
			resp := response("https://cdn.example/live/ch1/list.json", "text/json", in)
			change(rw, resp)
			require.NoError(t, rw.ModifyResponse(resp))
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, in, strings.TrimPrefix(string(got), "\x1f\x8b"))
		})
	}
	t.Run("cut short", func(t *testing.T) {
		resp := response("https://cdn.example/live/ch1/list.json", "text/json", in)
		resp.Body = &slow{text: in, allow: 20, err: errRead}
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		got, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, errRead)
		require.Equal(t, in[:20], string(got))
	})
	t.Run("gzip too large", func(t *testing.T) {
		rw := prefixed(t)
		rw.MaxSize = 1000
		bomb := zipped(t, "gzip", in+strings.Repeat(" ", 100000))
		resp := response("https://cdn.example/live/ch1/list.json", "text/json", bomb)
		resp.Header.Set("Content-Encoding", "gzip")
		require.NoError(t, rw.ModifyResponse(resp))
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, bomb, string(got))
	})
	t.Run("hook fails", func(t *testing.T) {
		rw := prefixed(t)
		refused := errors.New("refused")
		rw.Sign = rewrite.SignFunc(func(context.Context, []byte) ([]byte, error) { return nil, refused })
		require.ErrorIs(t, rw.ModifyResponse(response("https://cdn.example/live/ch1/list.json", "text/json", in)), refused)
	})
}

func TestHandlerRewritesJSON(t *testing.T) {
	big := `{"ASSETS":[{"URI":"a"}],"X":"` + strings.Repeat("x", 5000) + `"}`
	h := (&rewrite.Rewriter{MaxSize: 1000}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big.json" {
			io.WriteString(w, big[:500])
			io.WriteString(w, big[500:])
			return
		}
		io.WriteString(w, `{"ASSETS":[{"URI":"a"}]}`)
	}))
	require.Equal(t, `{"ASSETS":[{"URI":"/x/a"}]}`, answer(h, "GET", "/x/l.json").Body.String())
	require.Equal(t, big, answer(h, "GET", "/big.json").Body.String())
}

func TestPicturesOfChaptersThatAreNotMappedAreDropped(t *testing.T) {
	rw := prefixed(t)
	rw.Unmapped = func(r rewrite.Ref) rewrite.Action {
		require.Equal(t, rewrite.Thumbnail, r.Kind)
		return rewrite.Drop
	}
	resp := response("https://cdn.example/live/ch1/c.json", "", `[{"start-time":0,"images":[{"url":"https://other/1.jpg"},{"url":"2.jpg"}]}]`)
	require.NoError(t, rw.ModifyResponse(resp))
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, `[{"start-time":0,"images":[{"url":"/p/ch1/2.jpg"}]}]`, string(got))
}

// A document stays valid JSON, and only its URIs, and clones that lead elsewhere, change.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"ASSETS":[{"URI":"a.m3u8","DURATION":1.5},{"URI":"https:\/\/o\/b"},3]}`,
		`{"VERSION":1,"RELOAD-URI":"s.json?x","PATHWAY-CLONES":[{"ID":"b","URI-REPLACEMENT":{"HOST":"b"}},{"URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v":"c"}}}]}`,
		`[{"start-time":0,"images":[{"url":"1.jpg"},{"url":"https://o/2.jpg"}]},{"images":{"url":1}}]`,
		"\xef\xbb\xbf[ ]", `{"ASSETS":{"URI":"a"}}`,
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, drop bool) {
		rw := prefixed(t)
		if drop {
			rw.Unmapped = func(rewrite.Ref) rewrite.Action { return rewrite.Drop }
		}
		resp := response("https://cdn.example/live/ch1/list.json", "application/json", text)
		if err := rw.ModifyResponse(resp); err != nil {
			return
		}
		out, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var before, after any
		if json.Unmarshal([]byte(strings.TrimPrefix(text, "\xef\xbb\xbf")), &before) != nil {
			return
		}
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(string(out), "\xef\xbb\xbf")), &after), string(out))
		sameButURIs(t, "", before, after, drop)
	})
}

func sameButURIs(t *testing.T, name string, before, after any, drop bool) {
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		require.True(t, ok)
		require.Len(t, a, len(b))
		for k, v := range b {
			require.Contains(t, a, k)
			if name == "PER-VARIANT-URIS" || name == "PER-RENDITION-URIS" {
				continue
			}
			sameButURIs(t, k, v, a[k], drop)
		}
	case []any:
		a, ok := after.([]any)
		require.True(t, ok)
		if name == "PATHWAY-CLONES" || drop && (name == "ASSETS" || name == "images") {
			require.LessOrEqual(t, len(a), len(b))
			return
		}
		require.Len(t, a, len(b))
		for i := range b {
			sameButURIs(t, "", b[i], a[i], drop)
		}
	case string:
		require.IsType(t, "", after)
		if name != "URI" && name != "url" && name != "RELOAD-URI" {
			require.Equal(t, b, after)
		}
	default:
		require.Equal(t, before, after)
	}
}
