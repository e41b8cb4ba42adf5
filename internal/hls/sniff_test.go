package hls_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func transportStream(packet, offset int) string {
	one := strings.Repeat("\x00", offset) + "\x47\x40\x00\x10" + strings.Repeat("\xff", packet-offset-4)
	return strings.Repeat(one, 3)
}

func TestSniff(t *testing.T) {
	const page = "<!DOCTYPE html><title>Log in</title>"
	for _, c := range []struct {
		name, first string
		want        hls.Kind
	}{
		{"playlist", "#EXTM3U\n#EXT-X-VERSION:3\n", hls.Playlist},
		{"playlist and nothing else", "#EXTM3U", hls.Playlist},
		{"playlist of 16 bytes", "#EXTM3U\n#EXTINF:", hls.Playlist},
		{"playlist with a byte order mark", "\ufeff#EXTM3U\n", hls.Playlist},
		{"playlist behind blanks and blank lines", " \r\n\t\n#EXTM3U\n", hls.Playlist},
		{"playlist behind all of it", "\ufeff \n#EXTM3U\n", hls.Playlist},
		{"playlist in Latin-1", "#EXTM3U\n#EXTINF:1,t\xe9l\xe9\n", hls.Playlist},
		{"list of URLs", "http://radio.example.com/live.mp3\n", hls.List},
		{"list with a comment", "\r\n#my radio\r\n\r\nHTTPS://radio.example.com/live.mp3\n", hls.List},
		{"list with EXTINF", "#EXTINF:-1,Radio\nhttp://radio.example.com/\n", hls.List},
		{"comments only", "#EXTINF:1,\n# no more to come\n", hls.Plain},
		{"transport stream", transportStream(188, 0), hls.Video},
		{"transport stream cut short", transportStream(188, 0)[:40], hls.Video},
		{"transport stream with times", transportStream(192, 4), hls.Video},
		{"begins like a transport stream", "\x47\x40\x00\x10" + strings.Repeat("\x00", 400), hls.Unknown},
		{"request that begins with G", "GET / HTTP/1.1\r\n\r\n and more", hls.Plain},
		{"film", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42", hls.Video},
		{"fragment", "\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00msdh", hls.Video},
		{"fragment without styp", "\x00\x00\x01\x18moof\x00\x00\x00\x10mfhd\x00", hls.Video},
		{"box with a size that is none", "\x00\x00\x00\x05moof\x00\x00\x00\x10mfhd\x00", hls.Unknown},
		{"WebM", "\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x23", hls.Video},
		{"FLV", "FLV\x01\x05\x00\x00\x00\x09", hls.Video},
		{"ADTS", "\xff\xf1\x50\x80\x43\x9f\xfc\xde\x02\x00", hls.Audio},
		{"MP3", "\xff\xfb\x90\x64\x00\x0f\xf0\x00\x00\x69", hls.Audio},
		{"ID3", "ID3\x04\x00\x00\x00\x00\x00\x3fPRIV\x00", hls.Audio},
		{"AC-3", "\x0b\x77\x45\x12\x44\x40\x03\x00\x00", hls.Audio},
		{"UTF-16", "\xff\xfe<\x00h\x00t\x00m\x00l\x00", hls.Unknown},
		{"WebVTT", "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n", hls.Captions},
		{"WebVTT with a byte order mark", "\ufeffWEBVTT\n\n", hls.Captions},
		{"WebVTT of 16 bytes", "WEBVTT\n\nNOTE nil", hls.Captions},
		{"TTML", `<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"></tt>`, hls.Captions},
		{"TTML without a prolog", `<tt xmlns="http://www.w3.org/ns/ttml"></tt>`, hls.Captions},
		{"key", "\x00\x9a\xf3\x11\x47\xff\x10\x80abcdefgh", hls.Key},
		{"key of letters", "0123456789abcdef", hls.Key},
		{"key that begins like JSON", "{\"\x00\x9a\xf3\x11\x47\xff\x10\x80abcdef", hls.Key},
		{"key that begins like JSON and is text", `{"0123456789abcd`, hls.Key},
		{"key that begins like a page", "<a\x00\x9a\xf3\x11\x47\xff\x10\x80abcdef", hls.Key},
		{"key of 256 bits", strings.Repeat("\x9a\x01", 16), hls.Key},
		{"half a key", "01234567", hls.Plain},
		{"page", page, hls.HTML},
		{"page behind blanks", "\ufeff\n\n  " + page, hls.HTML},
		{"page without a doctype", "<HTML><body>", hls.HTML},
		{"page that is a heading", "<h1>Not Found</h1>", hls.HTML},
		{"page with a comment", "<!-- so --><html>", hls.HTML},
		{"XHTML", `<?xml version="1.0"?><!DOCTYPE html><HTML xmlns="http://www.w3.org/1999/xhtml">`, hls.HTML},
		{"XML", "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", hls.XML},
		{"DASH", "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">", hls.XML},
		{"picture that can run scripts", "<svg xmlns='http://www.w3.org/2000/svg'>", hls.XML},
		{"JSON", ` {"error":"not found"}`, hls.JSON},
		{"JSON of 16 bytes", `{"error":"nope"}`, hls.JSON},
		{"JSON array", "[{\"ASSETS\":1}]", hls.JSON},
		{"empty JSON", "{}", hls.JSON},
		{"subtitles that begin like an array", "[Script Info]\nTitle: x\n", hls.Captions},
		{"SubRip", "1\r\n00:00:01,000 --> 00:00:02,000\r\nHi\r\n", hls.Captions},
		{"SubRip without hours, cut short", "\ufeff12\n00:01.0 -->", hls.Captions},
		{"a number and an arrow", "12 --> 13\n", hls.Plain},
		{"a number and another", "12\n13 --> 14\n", hls.Plain},
		{"list of names", "a.mp3\r\nb/c.ts?x=1\n\n01 - d.ogg", hls.List},
		{"list of names in Latin-1", "#EXTINF:1,\xe9\n\xe9t\xe9.mp3\n", hls.List},
		{"list of playlists", "low.m3u8\nhigh.m3u8\n", hls.List},
		{"list of a name and a URL", "a.mp3\nhttps://h/b\n", hls.List},
		{"text that names media", "a.mp3\nis missing\n", hls.Plain},
		{"text about a playlist", "cannot find a.m3u8\n", hls.Plain},
		{"JPEG", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", hls.Image},
		{"PNG", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00", hls.Image},
		{"GIF", "GIF89a\x01\x00\x01\x00", hls.Image},
		{"WebP", "RIFF\x24\x00\x00\x00WEBPVP8 X", hls.Image},
		{"AVIF", "\x00\x00\x00\x20ftypavif\x00\x00\x00\x00a", hls.Image},
		{"wave", "RIFF\x24\x00\x00\x00WAVEfmt X", hls.Audio},
		{"text", "Not found\n", hls.Plain},
		{"text in UTF-8", "télévision\n", hls.Plain},
		{"nothing", "", hls.Unknown},
		{"blanks", " \r\n", hls.Unknown},
		{"noise", "\x9a\x01\x02\x03", hls.Unknown},
	} {
		require.Equal(t, c.want, hls.Sniff([]byte(c.first), true), c.name)
		is, _ := hls.StartsPlaylist([]byte(c.first))
		require.Equal(t, c.want == hls.Playlist, is, c.name)
	}
}

func TestSniffOfABeginning(t *testing.T) {
	key := "0123456789abcdef"
	require.Equal(t, hls.Plain, hls.Sniff([]byte(key), false), "more may follow")
	require.Equal(t, hls.Unknown, hls.Sniff([]byte("<?x"[:0]), false))
	require.Equal(t, hls.Plain, hls.Sniff([]byte("télévisions é"[:len("télévisions é")-1]), false), "cut within a character")
	require.Equal(t, hls.Unknown, hls.Sniff([]byte("télévisions é"[:len("télévisions é")-1]), true))
	require.Equal(t, hls.List, hls.Sniff([]byte("a.mp3\nb"), false), "cut within a line")
	require.Equal(t, hls.Plain, hls.Sniff([]byte("a.mp3 and"), false))
	require.Equal(t, hls.Plain, hls.Sniff([]byte("a.mp3.html"), false), "more of the line may follow")
	require.Equal(t, hls.Unknown, hls.Sniff([]byte(strings.Repeat(" ", 2*hls.SniffLen)+"#EXTM3U"), true))
}

// A body that is read byte by byte is read no further than it takes.
func TestStartsPlaylistAsksForNoMoreThanItNeeds(t *testing.T) {
	for text, want := range map[string]int{
		"#EXTM3U\n#EXT": 7, "\ufeff#EXTM3U\n": 10, "\n \n#EXTM3U": 10, "\ufeff\r\n#EXTM3U": 12,
		"\x47\x40\x00": 1, "#EXTINF:1": 5, "<html>": 1, "\xef\xbbx": 3, "\xefx": 2, " x": 2, "\ufeffx": 4,
		strings.Repeat("\n", 3*hls.SniffLen): hls.SniffLen,
	} {
		n := 0
		for known := false; !known; {
			n++
			require.LessOrEqual(t, n, len(text))
			_, known = hls.StartsPlaylist([]byte(text[:n]))
		}
		require.Equal(t, want, n, "%.20q", text)
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{"#EXTM3U\n", "\ufeff\n#EXTM3U", "{\"a\":1}", "<?xml ?><tt>", transportStream(188, 0), transportStream(192, 4), "0123456789abcdef"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		is, known := hls.StartsPlaylist(body)
		require.Equal(t, is, hls.Sniff(body, true) == hls.Playlist)
		require.Equal(t, is, hls.Sniff(body, false) == hls.Playlist)
		require.True(t, known || !is && len(body) < hls.SniffLen)
		if len(body) > 0 {
			_, known := hls.StartsPlaylist(body[:1])
			require.Equal(t, !known, hls.MayStartPlaylist(body[0]))
		}
		for i := range body {
			if earlier, known := hls.StartsPlaylist(body[:i]); known {
				require.Equal(t, is, earlier, "at %d", i)
			}
		}
	})
}
