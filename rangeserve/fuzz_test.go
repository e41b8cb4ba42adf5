package rangeserve_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// FuzzParse: the result lies within the body. Its ranges do not touch, and they are few.
func FuzzParse(f *testing.F) {
	for _, c := range rangecases.Ranges() {
		f.Add(c.Header, int64(c.Size))
	}
	f.Add("bytes=9223372036854775806-", int64(1<<63-1))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		ranges, err := rangeserve.Parse(header, size)
		if err != nil {
			require.Nil(t, ranges)
			require.NotEqual(t, errors.Is(err, rangeserve.ErrIgnore), errors.Is(err, rangeserve.ErrUnsatisfiable))
			return
		}
		require.NotEmpty(t, ranges)
		require.LessOrEqual(t, len(ranges), 8)
		sum := int64(0)
		for i, r := range ranges {
			require.GreaterOrEqual(t, r.Start, int64(0))
			require.Greater(t, r.Length, int64(0))
			require.LessOrEqual(t, r.Length, size-r.Start)
			sum += r.Length
			for _, o := range ranges[:i] {
				require.True(t, r.Start+r.Length < o.Start || o.Start+o.Length < r.Start)
			}
		}
		require.LessOrEqual(t, sum, size)
	})
}

// FuzzServe: Serve and Handler give the same answer to any request, and never more than the requested parts.
func FuzzServe(f *testing.F) {
	for _, c := range rangecases.Ranges() {
		f.Add(c.Header, "", "", "", uint16(c.Size), uint8(7))
	}
	for _, c := range []string{`"v1"`, `W/"v1"`, "*", `"x", "v1"`, "Thu, 29 Feb 2024 12:30:45 GMT"} {
		f.Add("bytes=0-1", c, "", "", uint16(10), uint8(1))
		f.Add("bytes=0-1,5-6", "", c, "", uint16(10), uint8(1))
		f.Add("bytes=5-", "", "", c, uint16(10), uint8(1))
	}
	f.Fuzz(func(t *testing.T, header, ifRange, ifNoneMatch, ifMatch string, size uint16, step uint8) {
		body := bodyOf(int(size))
		c := rangeserve.Content{ReaderAt: bytes.NewReader(body), Size: int64(size), Type: "video/mp4", ETag: `"v1"`, ModTime: modified}
		request := func() *http.Request {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Range", header)
			for name, value := range map[string]string{"If-Range": ifRange, "If-None-Match": ifNoneMatch, "If-Match": ifMatch} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			return r
		}
		ours := httptest.NewRecorder()
		rangeserve.Serve(ours, request(), c)
		cut := httptest.NewRecorder()
		rangeserve.Handler(rangeless(body, int(step)+1, `"v1"`)).ServeHTTP(cut, request())
		require.LessOrEqual(t, ours.Body.Len(), len(body)+8*200)
		if ranges, err := rangeserve.Parse(header, int64(size)); err == nil && len(ranges) > 1 {
			return // parts: a random boundary, and in any order only from Serve
		}
		require.Equal(t, ours.Code, cut.Code)
		require.True(t, bytes.Equal(ours.Body.Bytes(), cut.Body.Bytes()))
		require.Equal(t, ours.Header(), cut.Header())
	})
}

// FuzzName: no path makes Files panic or leave its root.
func FuzzName(f *testing.F) {
	for _, path := range []string{"/a.mp4", "/../secret.mp4", "/..%2fsecret.mp4", "/dir/./b.mp4", "//x", "/\\..\\secret.mp4", "/.a"} {
		f.Add(path)
	}
	h := settled(&rangeserve.Files{Root: openRoot(f, folder(f, "a.mp4", "dir/b.mp4"))})
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.NotContains(t, w.Body.String(), "secret")
		require.Contains(t, []int{200, 404}, w.Code)
	})
}
