package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// A 304 may name a version less exactly than the answer that it confirms (a server in front of the origin makes tags weak when
// it compresses). Slices of two versions with one weak tag never come together.
func TestA304DoesNotRenameWhatIsKeptInSlices(t *testing.T) {
	for name, tags := range map[string][]string{"weakly": {`W/"1"`}, "by two tags": {`"1"`, `"2"`}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const film = "http://origin.example/a.mp4"
				old, young := string(noise(5*mib, 1)), string(noise(5*mib, 2))
				body, now := old, []string{`"1"`}
				o := &scripted{answer: func(r *http.Request, n int64) reply {
					from, to := 0, 0
					a := text(body, "Content-Type", "video/mp4", "Cache-Control", "max-age=1")
					if r.Header.Get("If-None-Match") != "" && body == old {
						a = reply{status: 304, header: head("Cache-Control", "max-age=60")}
					} else if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
						a = text(body[from:to+1], "Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
						a.status = 206
					}
					a.header["Etag"] = now
					return a
				}}
				c := &cache.Transport{Base: o, Store: store(t), MaxBody: mib}
				for range 2 {
					_, got := fetch(t, c, film, "Range", "bytes=0-9")
					require.Equal(t, old[:10], got)
					now = tags
					time.Sleep(2 * time.Second)
				}
				body = young
				resp, err := c.RoundTrip(request(t, t.Context(), film))
				require.NoError(t, err)
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				require.True(t, err != nil || string(got) == young)
			})
		})
	}
}

// With a strong tag in place of its weak one, a stored answer could be joined to a part of another version by If-Range.
func TestA304DoesNotMakeAWeakTagStrong(t *testing.T) {
	o := &scripted{answer: func(r *http.Request, _ int64) reply {
		if r.Header.Get("If-None-Match") != "" {
			return reply{status: 304, header: head("ETag", `"1"`)}
		}
		return text("one", "Content-Type", "video/mp2t", "ETag", `W/"1"`, "Cache-Control", "no-cache")
	}}
	c := &cache.Transport{Base: o, Store: store(t)}
	for range 3 {
		resp, body := fetch(t, c, segURL, "Range", "bytes=1-1", "If-Range", `"1"`)
		require.Equal(t, "one", body)
		require.Equal(t, `W/"1"`, resp.Header.Get("ETag"))
	}
	require.EqualValues(t, 3, o.asked.Load())
}

// A status that no server can pass on is no answer, and least of all one for everybody.
func TestStatusesThatAreNone(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 100, 101, 103, 199, 1000} {
		o := trip(func(r *http.Request) (*http.Response, error) {
			resp := text("body", "Cache-Control", "max-age=60", "Content-Type", "video/mp2t").response(r)
			resp.StatusCode = status
			return resp, nil
		})
		_, _, err := try(t, &cache.Transport{Base: o, Store: store(t)}, segURL)
		require.ErrorIs(t, err, cache.ErrBroken, status)
	}
}

// Keys, tags and fields may have bytes that are not UTF-8. After a restart they are the same, and no two of them are one.
func TestDirKeepsEveryByteOfAHeader(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir, 1<<20)
	for _, tag := range []string{"\"\xe9\"", "\"\xe8\"", `"é<&>` + "\u2028\""} {
		require.NoError(t, d.Put(t.Context(), "key"+tag, &cache.Entry{
			URL: "http://origin.example/" + tag, Status: 200, Time: time.Now(), TTL: time.Hour, Body: cache.Bytes([]byte(tag)),
			Header: http.Header{"Etag": {tag}, "X" + tag: {"", tag}}, Vary: http.Header{"X-User": {tag}, "Missing": nil},
		}))
	}
	d = openDir(t, dir, 1<<20)
	require.Equal(t, 3, d.Len())
	for _, tag := range []string{"\"\xe9\"", "\"\xe8\"", `"é<&>` + "\u2028\""} {
		e, err := d.Get(t.Context(), "key"+tag)
		require.NoError(t, err)
		require.NotNil(t, e)
		require.Equal(t, http.Header{"Etag": {tag}, "X" + tag: {"", tag}}, e.Header)
		require.Equal(t, []string{tag}, e.Vary["X-User"])
		require.Empty(t, e.Vary["Missing"])
		require.Contains(t, e.Vary, "Missing")
		require.Equal(t, "http://origin.example/"+tag, e.URL)
		got, err := io.ReadAll(io.NewSectionReader(e.Body, 0, e.Body.Size()))
		require.NoError(t, err)
		require.Equal(t, tag, string(got))
	}
	e, err := d.Get(t.Context(), "key\"\ufffd\"")
	require.NoError(t, err)
	require.Nil(t, e)
}
