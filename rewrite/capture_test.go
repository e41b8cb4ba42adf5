package rewrite_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func TestHandlerOfAnswersOfManySizes(t *testing.T) {
	large := strings.Repeat("x", 2000)
	for name, row := range map[string]struct {
		method, path, kind, body string
		length                   string
		status                   int
		want                     string
	}{
		"large, in one write":                 {"GET", "/a.dat", "application/octet-stream", large, "", 200, large},
		"HEAD of what is large":               {"HEAD", "/a.dat", "application/octet-stream", large, "2000", 200, large},
		"HEAD of a large document":            {"HEAD", "/a", "application/json", large, "2000", 200, large},
		"HEAD of a large playlist":            {"HEAD", "/a", "application/x-mpegurl", large, "2000", 200, large},
		"a large playlist":                    {"GET", "/a", "", small + large, "", 502, "Bad Gateway\n"},
		"a playlist shorter than it said":     {"GET", "/a.m3u8", "", small, "2000", 502, "Bad Gateway\n"},
		"a document shorter than it said":     {"GET", "/a.json", "", `{"ASSETS":[]}`, "2000", 502, "Bad Gateway\n"},
		"a playlist that broke before a byte": {"GET", "/a.m3u8", "", "", "2000", 502, "Bad Gateway\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := (&rewrite.Rewriter{MaxSize: 1000}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, v := range map[string]string{
					"Content-Type": row.kind, "Content-Length": row.length, "Cache-Control": "max-age=600", "ETag": `"1"`,
				} {
					if v != "" {
						w.Header().Set(name, v)
					}
				}
				w.Write([]byte(row.body))
			}))
			w := answer(h, row.method, row.path)
			require.Equal(t, row.status, w.Code)
			require.Equal(t, row.want, w.Body.String())
			if w.Code == 200 {
				require.Equal(t, "max-age=600", w.Header().Get("Cache-Control"))
				return
			}
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Empty(t, w.Header().Get("ETag"))
		})
	}
}
