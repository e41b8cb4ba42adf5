package hls_test

import (
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestByName(t *testing.T) {
	for path, want := range map[string]hls.Kind{
		"/a/b.m3u8": hls.Playlist, "B.M3U": hls.Playlist, ".m3u8": hls.Playlist, "/a.m3u8;id=1": hls.Playlist, "/a.m3u8;v=1.2": hls.Playlist,
		"/a.ts": hls.Video, "/x/a.MTS": hls.Video, "a.m4s": hls.Video, "a.tar.mp4": hls.Video, "a;b.ts": hls.Video,
		"a.flac": hls.Audio, "a.eac3": hls.Audio, "a.opus": hls.Audio, "a.webvtt": hls.Captions, "a.cmft": hls.Captions,
		"a.jpg": hls.Image, "a.svg": hls.XML, "a.json": hls.JSON, "a.html": hls.HTML, "a.key": hls.Key, "a.bin": hls.Data, "a.txt": hls.Plain,
		"": hls.Unknown, "a": hls.Unknown, "m3u8": hls.Unknown, "/a.m3u8/": hls.Unknown, "/a.m3u8/b": hls.Unknown, "/a.ts.": hls.Unknown,
		"a.m3u8x": hls.Unknown, "a.ſs": hls.Unknown, "a.m3u8 ": hls.Unknown, "a.averylongextension": hls.Unknown, "/a.m3u8;x/b": hls.Unknown,
	} {
		require.Equal(t, want, hls.ByName(path), path)
		require.Equal(t, want, hls.ByName([]byte(path)), path)
	}
}

func TestFits(t *testing.T) {
	for name, ext := range map[string]string{
		"a.ts": "ts", "a.MP4": "ts", "a.aac": "m4s", "a.vtt": "ts", "a.m3u8": "ts", "b.m3u8": "m3u8", "a.m3u": "m3u8", "a.key": "key", "a.bin": "key",
	} {
		require.True(t, hls.Fits(name, ext), name)
		require.True(t, hls.Fits([]byte(name), ext), name)
	}
	for name, ext := range map[string]string{
		"a.jpg": "ts", "a": "ts", "a.css": "m4s", "a.html": "ts", "a.bin": "mp4", "": "ts", "b": "m3u8", "a.php": "m3u8", "b.ts": "m3u8", "a.txt": "key", "c": "key",
	} {
		require.False(t, hls.Fits(name, ext), name)
	}
}

func TestTypeByName(t *testing.T) {
	for path, want := range map[string]string{
		"/a.m3u8": "application/vnd.apple.mpegurl", "a.TS": "video/mp2t", "a.m4s": "video/mp4", "a.vtt": "text/vtt", "a.key": "application/octet-stream",
		"a": "application/octet-stream", "a.woff2": "font/woff2", "a.tsa": "video/mp2t",
	} {
		require.Equal(t, want, hls.TypeByName(path), path)
	}
}

func TestByType(t *testing.T) {
	for label, want := range map[string]hls.Kind{
		"application/vnd.apple.mpegurl": hls.Playlist, "Application/X-MPEGURL; charset=utf-8": hls.Playlist, "audio/mpegurl": hls.Playlist,
		"vnd.apple.mpegurl": hls.Playlist, "video/x-mpegurl": hls.Playlist, "application/vnd.apple.mpegurl.audio": hls.Playlist,
		"video/mp2t": hls.Video, " VIDEO/MP4 ;codecs=x": hls.Video, "application/mp4": hls.Video, "audio/aac": hls.Audio, "text/vtt": hls.Captions,
		"application/ttml+xml": hls.Captions, "image/jpeg": hls.Image, "image/svg+xml": hls.XML, "application/dash+xml": hls.XML,
		"application/json": hls.JSON, "application/problem+json": hls.JSON, "application/vnd.apple.steering-list": hls.JSON,
		"text/html;charset=utf-8": hls.HTML, "application/xhtml+xml": hls.HTML, "application/pgp-keys": hls.Key,
		"": hls.Unknown, "text/plain": hls.Unknown, "application/octet-stream": hls.Unknown, "video": hls.Video, "videos/x": hls.Unknown,
		"video/mp4, text/html": hls.Unknown, "text/plain; note=mpegurl": hls.Unknown,
	} {
		require.Equal(t, want, hls.ByType(label), label)
	}
	for _, usual := range []string{
		"video/mp2t", "video/MP2T", "video/mp4", "video/iso.segment", "audio/mp4", "audio/aac", "audio/mpeg",
		"application/vnd.apple.mpegurl", "application/x-mpegURL", "application/x-mpegurl",
	} {
		require.Equal(t, hls.ByType(usual+";"), hls.ByType(usual), "%s is what it is with parameters", usual)
	}
}

func TestIsPlaylist(t *testing.T) {
	for _, c := range []struct {
		label, path string
		want        bool
	}{
		{"", "/a.m3u8", true}, {"text/plain", "/a.m3u8", true}, {"audio/mpegurl", "/a.ts", true}, {"application/octet-stream", "/a.M3U", true},
		{"video/mp4", "/a.m3u8", false}, {"audio/aac", "/a.m3u", false}, {"", "/a.ts", false}, {"text/html", "/a", false},
	} {
		require.Equal(t, c.want, hls.IsPlaylist(c.label, c.path), "%q %q", c.label, c.path)
	}
}

func TestKinds(t *testing.T) {
	for k := hls.Unknown; k <= hls.Plain; k++ {
		require.False(t, k.IsMedia() && k.IsDocument())
	}
	require.True(t, hls.Image.IsMedia())
	require.True(t, hls.JSON.IsDocument())
}

func TestNamesCostNoAllocation(t *testing.T) {
	path := []byte("/live/one/segment-123.M4S")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		hls.ByName(path)
		hls.TypeByName("/live/a.WEBVTT")
		hls.ByType("Application/Vnd.Apple.MpegURL; charset=utf-8")
		hls.IsPlaylist("text/plain", "/a.m3u8")
		hls.Sniff([]byte("#EXTM3U\n"), true)
		hls.ReloadOf("a=b&_HLS_msn=12&_HLS_part=3&_HLS_skip=YES")
		hls.IsKnownDirective("_HLS_msn=12")
	}))
}

func TestEssence(t *testing.T) {
	for in, want := range map[string]string{"": "", " Video/MP4 ; codecs=x": "video/mp4", "text/plain": "text/plain", ";": ""} {
		require.Equal(t, want, hls.Essence(in))
	}
}
