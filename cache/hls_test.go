package cache_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func zip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestHLS(t *testing.T) {
	const (
		ts      = "https://o.example/a/seg1.ts"
		list    = "https://o.example/a/index.m3u8"
		blocked = list + "?_HLS_msn=5&_HLS_part=0"
		bare    = "https://o.example/a/x"
	)
	now := time.Now().UTC()
	master := "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n"
	for name, row := range map[string]struct {
		url    string
		status int
		header []string
		body   string
		want   time.Duration
	}{
		"live":                       {url: list, body: live(6, "a.ts"), want: 3 * time.Second},
		"live, any type, any name":   {url: bare, header: []string{"Content-Type", "text/plain"}, body: live(6, "a.ts"), want: 3 * time.Second},
		"live, lone CR":              {url: list, body: strings.ReplaceAll(live(6, "a.ts"), "\n", "\r"), want: 3 * time.Second},
		"live, CRLF":                 {url: list, body: strings.ReplaceAll(live(6, "a.ts"), "\n", "\r\n"), want: 3 * time.Second},
		"live, BOM":                  {url: list, body: "\ufeff" + live(6, "a.ts"), want: 3 * time.Second},
		"live, gzip":                 {url: list, header: []string{"Content-Encoding", "gzip"}, body: zip(live(6, "a.ts")), want: 3 * time.Second},
		"live, no duration":          {url: list, body: "#EXTM3U\n#EXTINF:4,\na.ts", want: time.Second},
		"live, odd duration":         {url: list, body: "#EXTM3U\n#EXT-X-TARGETDURATION:-1", want: time.Second},
		"live, huge duration":        {url: list, body: "#EXTM3U\n#EXT-X-TARGETDURATION:1e300", want: time.Second},
		"live, fraction":             {url: list, body: "#EXTM3U\n#EXT-X-TARGETDURATION: 1.5 ", want: 750 * time.Millisecond},
		"live, origin says longer":   {url: list, header: []string{"Cache-Control", "max-age=600"}, body: live(6, "a.ts"), want: 3 * time.Second},
		"live, origin says shorter":  {url: list, header: []string{"Cache-Control", "max-age=1"}, body: live(6, "a.ts"), want: time.Second},
		"live, no-cache":             {url: list, header: []string{"Cache-Control", "no-cache"}, body: live(6, "a.ts"), want: 0},
		"live event":                 {url: list, body: "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:4\n", want: 2 * time.Second},
		"blocking":                   {url: blocked, body: live(6, "1.ts", "2.ts", "3.ts", "4.ts") + "#EXT-X-PART:URI=\"5.0.ts\"\n", want: 36 * time.Second},
		"blocking, later":            {url: blocked, body: live(6, "1.ts", "2.ts", "3.ts", "4.ts", "5.ts"), want: 36 * time.Second},
		"blocking, not held":         {url: blocked, body: live(6, "1.ts", "2.ts", "3.ts", "4.ts"), want: 3 * time.Second},
		"blocking, part not held":    {url: blocked, body: live(6, "1.ts") + "#EXT-X-PART-INF:PART-TARGET=0.5\n", want: 250 * time.Millisecond},
		"blocking, origin shorter":   {url: blocked, header: []string{"Cache-Control", "max-age=8"}, body: live(6, "1.ts", "2.ts", "3.ts", "4.ts", "5.ts"), want: 8 * time.Second},
		"a channel that has ended":   {url: list, header: []string{"Cache-Control", "max-age=600"}, body: strings.Replace(live(6, "a.ts"), ":1\n", ":7\n", 1) + "#EXT-X-ENDLIST", want: 3 * time.Second},
		"a film that was cut":        {url: list, body: strings.Replace(live(6, "a.ts"), ":1\n", ":7\n#EXT-X-PLAYLIST-TYPE:VOD\n", 1) + "#EXT-X-ENDLIST", want: time.Hour},
		"blocking, ended":            {url: blocked, body: live(6, "a.ts") + "#EXT-X-ENDLIST", want: time.Hour},
		"ended":                      {url: list, body: live(6, "a.ts") + "#EXT-X-ENDLIST", want: time.Hour},
		"ended, origin says":         {url: list, header: []string{"Cache-Control", "max-age=5"}, body: live(6, "a.ts") + "#EXT-X-ENDLIST\n", want: 5 * time.Second},
		"VOD":                        {url: list, body: "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST", want: time.Hour},
		"VOD that grows":             {url: list, body: "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts", want: 2 * time.Second},
		"ended, gzip":                {url: list, body: zip(live(6, "a.ts") + "#EXT-X-ENDLIST"), want: time.Hour},
		"multivariant":               {url: list, body: master, want: time.Minute},
		"multivariant, origin says":  {url: list, header: []string{"Cache-Control", "s-maxage=90, max-age=5"}, body: master, want: 90 * time.Second},
		"html as playlist":           {url: list, header: []string{"Cache-Control", "max-age=5"}, body: "<html>", want: 0},
		"playlist of another's tag":  {url: list, body: "#EXTM3U8", want: time.Second},
		"blank line in front":        {url: list, body: " \r\n" + live(6, "a.ts"), want: 3 * time.Second},
		"segment as playlist":        {url: list, header: []string{"Content-Type", "application/x-mpegurl"}, body: "\x00\x00\x00\x18ftypmp42", want: time.Hour},
		"key as playlist":            {url: list, body: "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", want: 0},
		"plain list of URLs":         {url: "https://o.example/a.m3u", body: "http://o.example/1.ts\nhttp://o.example/2.ts\n", want: time.Minute},
		"segment typed as a page":    {url: bare, header: []string{"Content-Type", "text/html"}, body: "\x00\x00\x00\x18ftypmp42", want: time.Hour},
		"encrypted, by name":         {url: ts, header: []string{"Content-Type", "text/html"}, body: "\x91\x00\x12\xff\x01\x00\xfe", want: time.Hour},
		"audio of a rarer kind":      {url: "https://o.example/a.flac", header: []string{"Content-Type", "application/octet-stream"}, body: "x", want: time.Hour},
		"segment, Expires a day":     {url: ts, header: []string{"Date", now.Format(http.TimeFormat), "Expires", "Sun, 6 Nov 2094 08:49:37 GMT"}, body: "x", want: 0},
		"segment, Expires elsewhere": {url: ts, header: []string{"Date", now.Format(http.TimeFormat), "Expires", "Sat, 06 Nov 2094 08:49:37 PST"}, body: "x", want: 0},
		"broken gzip":                {url: list, body: zip(live(6, "a.ts"))[:20], want: 0},
		"no gzip":                    {url: list, body: "\x1f\x8b12", want: 0},
		"gzip bomb":                  {url: list, body: zip("#EXTM3U\n" + strings.Repeat("#\n", 5<<20)), want: 0},
		"segment":                    {url: ts, header: []string{"Content-Type", "video/mp2t"}, body: "x", want: time.Hour},
		"segment by name":            {url: ts + "?x=.html", body: "x", want: time.Hour},
		"segment by type":            {url: bare, header: []string{"Content-Type", "VIDEO/mp4; x=y"}, body: "x", want: time.Hour},
		"segment, origin says":       {url: ts, header: []string{"Cache-Control", "max-age=5"}, body: "x", want: 5 * time.Second},
		"segment, origin says twice": {url: ts, header: []string{"Cache-Control", "max-age=5", "Cache-Control", "max-age=3"}, body: "x", want: 3 * time.Second},
		"segment, origin mumbles":    {url: ts, header: []string{"Cache-Control", "max-age=soon"}, body: "x", want: 0},
		"segment, quoted":            {url: ts, header: []string{"Cache-Control", `x="a,no-store", MAX-AGE="7"`}, body: "x", want: 7 * time.Second},
		"segment, for ever":          {url: ts, header: []string{"Cache-Control", "max-age=99999999999999999999"}, body: "x", want: 1 << 31 * time.Second},
		"segment, Expires":           {url: ts, header: []string{"Date", now.Format(http.TimeFormat), "Expires", now.Add(time.Minute).Format(http.TimeFormat)}, body: "x", want: time.Minute},
		"segment, Expires past":      {url: ts, header: []string{"Date", now.Format(http.TimeFormat), "Expires", now.Add(-time.Minute).Format(http.TimeFormat)}, body: "x", want: 0},
		"segment, Expires -1":        {url: ts, header: []string{"Expires", "-1"}, body: "x", want: 0},
		"segment, private":           {url: ts, header: []string{"Cache-Control", "private"}, body: "x", want: 0},
		"segment, no-store":          {url: ts, header: []string{"Cache-Control", "max-age=5,no-store"}, body: "x", want: 0},
		"an error of a store":        {url: ts, body: "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", want: 0},
		"html typed as segment":      {url: ts, header: []string{"Content-Type", "video/mp2t", "Cache-Control", "max-age=5"}, body: "\ufeff\r\n<!DocType HTML><p>", want: 0},
		"html without a type":        {url: ts, body: "<HTML lang=en>", want: 0},
		"json as segment":            {url: ts, header: []string{"Content-Type", "application/json; charset=utf-8"}, body: "{}", want: 0},
		"subtitles in XML":           {url: "http://o/a.ttml", header: []string{"Content-Type", "application/ttml+xml"}, body: "<?xml version=\"1.0\"?>", want: time.Hour},
		"html as segment":            {url: ts, header: []string{"Content-Type", "text/html", "Cache-Control", "max-age=5"}, body: "<html>", want: 0},
		"subtitles":                  {url: bare, header: []string{"Content-Type", "text/vtt"}, body: "WEBVTT", want: time.Hour},
		"key":                        {url: bare, header: []string{"Cache-Control", "max-age=5"}, body: "0123456789abcdef", want: 0},
		"key by type":                {url: bare, header: []string{"Content-Type", "application/octet-stream"}, body: strings.Repeat("k", 32), want: 0},
		"key by name":                {url: "https://o.example/a.key", header: []string{"Cache-Control", "max-age=5"}, body: "x", want: 0},
		"other":                      {url: bare, header: []string{"Content-Type", "text/html"}, body: "x", want: 0},
		"other, origin says":         {url: bare, header: []string{"Content-Type", "text/html", "Cache-Control", "max-age=5"}, body: "x", want: 5 * time.Second},
		"404":                        {url: ts, status: 404, want: time.Second},
		"404, origin says longer":    {url: ts, status: 404, header: []string{"Cache-Control", "max-age=50"}, want: time.Second},
		"410, origin says none":      {url: ts, status: 410, header: []string{"Cache-Control", "max-age=0"}, want: 0},
		"503":                        {url: ts, status: 503, header: []string{"Cache-Control", "max-age=50"}, want: 0},
		"403":                        {url: ts, status: 403, want: 0},
		"403, origin says":           {url: ts, status: 403, header: []string{"Cache-Control", "max-age=50"}, want: time.Second},
		"302":                        {url: ts, status: 302, want: 0},
		"302, origin says":           {url: ts, status: 302, header: []string{"Cache-Control", "max-age=50"}, want: 50 * time.Second},
		"for CDNs":                   {url: ts, header: []string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=9"}, body: "x", want: 9 * time.Second},
		"no URL":                     {url: "%", body: live(6, "a.ts"), want: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			e := &cache.Entry{URL: row.url, Status: max(row.status, 200), Header: head(row.header...), Body: cache.Bytes([]byte(row.body))}
			require.Equal(t, row.want, max(cache.HLS(e), 0))
		})
	}
	require.Zero(t, max(cache.HLS(&cache.Entry{URL: list, Status: 200}), 0), "no body")
}

func FuzzHLS(f *testing.F) {
	f.Add("https://o.example/a.m3u8?_HLS_msn=1", "max-age=1, x=\"", "application/x-mpegurl", []byte(live(4, "a.ts")))
	f.Add("%", "s-maxage=99999999999999999999", "", []byte(zip("#EXTM3U")))
	f.Fuzz(func(t *testing.T, url, control, mediaType string, body []byte) {
		e := &cache.Entry{URL: url, Status: 200, Header: head("Cache-Control", control, "Content-Type", mediaType), Body: cache.Bytes(body)}
		d := cache.HLS(e)
		require.LessOrEqual(t, d, 1<<31*time.Second)
	})
}

// counted is a body that knows how much of it was read.
type counted struct {
	hollow
	read *int
}

func (c counted) ReadAt(p []byte, off int64) (int, error) {
	*c.read += len(p)
	clear(p)
	return c.hollow.ReadAt(p, off)
}

// Viewers wait for the end of a body until it is judged.
func TestASegmentIsJudgedByItsBeginning(t *testing.T) {
	read := 0
	e := &cache.Entry{URL: segURL, Status: 200, Header: head("Content-Type", "video/mp2t"), Body: counted{64 << 20, &read}}
	require.Equal(t, time.Hour, cache.HLS(e))
	require.LessOrEqual(t, read, 8<<10)
}

// Playlists are read in pieces. A line is read whole wherever it lies in them.
func TestLinesAcrossPieces(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		for pad := 4000; pad < 4110; pad++ {
			body := "#EXTM3U" + end + "#" + strings.Repeat("x", pad) + end + "#EXT-X-TARGETDURATION:8" + end + "#EXTINF:8," + end + "a.ts" + end
			require.Equal(t, 4*time.Second, cache.HLS(&cache.Entry{URL: listURL, Status: 200, Body: cache.Bytes([]byte(body))}), "%q %d", end, pad)
		}
	}
}
