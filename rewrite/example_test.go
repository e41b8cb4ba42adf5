package rewrite_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// Rewrite in a ReverseProxy that one already has.
func Example_reverseProxy() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-mpegurl")
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts?k=v\n#EXTINF:4,\n../ad/1.ts\n#EXT-X-ENDLIST\n")
	}))
	defer origin.Close()

	m, err := rewrite.Prefix("/live/", origin.URL+"/a/")
	if err != nil {
		fmt.Println(err)
		return
	}
	rw := &rewrite.Rewriter{Map: m}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			upstream, err := m.Upstream(r.In.URL)
			if err != nil {
				upstream = "" // the round trip fails, and ErrorHandler answers
			}
			r.Out.URL, _ = url.Parse(upstream)
			r.Out.Host = ""
		},
		ModifyResponse: rw.ModifyResponse,
	}
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/live/ch1/index.m3u8", nil))
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// application/vnd.apple.mpegurl
	// #EXTM3U
	// #EXT-X-TARGETDURATION:4
	// #EXTINF:4,
	// /live/ch1/seg1.ts?k=v
	// #EXTINF:4,
	// /live/ad/1.ts
	// #EXT-X-ENDLIST
}

// Leave the segments on the CDN, and proxy only playlists and keys.
func ExampleRewriter_skip() {
	rw := &rewrite.Rewriter{
		Map:  rewrite.Query("/proxy", "url"),
		Skip: func(r rewrite.Ref) bool { return r.Kind != rewrite.Playlist && r.Kind != rewrite.Key },
	}
	out, err := rw.Append(context.Background(), nil, []byte(`#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-KEY:METHOD=AES-128,URI="1.key"
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4,
1.m4s
`), "https://cdn.example/ch1/index.m3u8")
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// #EXTM3U
	// #EXT-X-TARGETDURATION:4
	// #EXT-X-KEY:METHOD=AES-128,URI="/proxy/1.key?url=https%3A%2F%2Fcdn.example%2Fch1%2F1.key"
	// #EXT-X-MAP:URI="https://cdn.example/ch1/init.mp4"
	// #EXTINF:4,
	// https://cdn.example/ch1/1.m4s
	// <nil>
}

// Three ways to spell an upstream URL, and back.
func ExampleMapper() {
	tree, err := rewrite.Prefix("/live/", "https://cdn.example/a/")
	if err != nil {
		panic(err)
	}
	hosts, err := rewrite.HostPath("/x/", "*.example")
	if err != nil {
		panic(err)
	}
	for _, m := range []rewrite.Mapper{tree, rewrite.Query("/proxy", "url"), hosts} {
		public, err := m.AppendPublic(nil, []byte("https://cdn.example/a/x/seg1.ts?k=v"))
		if err != nil {
			panic(err)
		}
		u, err := url.Parse(string(public))
		if err != nil {
			panic(err)
		}
		upstream, err := m.Upstream(u)
		fmt.Println(u, upstream, err)
	}
	// Output:
	// /live/x/seg1.ts?k=v https://cdn.example/a/x/seg1.ts?k=v <nil>
	// /proxy/seg1.ts?url=https%3A%2F%2Fcdn.example%2Fa%2Fx%2Fseg1.ts%3Fk%3Dv https://cdn.example/a/x/seg1.ts?k=v <nil>
	// /x/https/cdn.example/a/x/seg1.ts?k=v https://cdn.example/a/x/seg1.ts?k=v <nil>
}

// Segments and keys get names that players accept.
func ExampleKindMapper() {
	rw := &rewrite.Rewriter{Map: rewrite.Query("/proxy", "url")}
	out, err := rw.Append(context.Background(), nil, []byte(`#EXTM3U
#EXT-X-KEY:METHOD=AES-128,URI="/key?id=1"
#EXTINF:4,
seg-1.jpg
#EXTINF:4,
seg-2.ts
`), "https://h/ch1/main.m3u8")
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// #EXTM3U
	// #EXT-X-KEY:METHOD=AES-128,URI="/proxy/key.key?url=https%3A%2F%2Fh%2Fkey%3Fid%3D1"
	// #EXTINF:4,
	// /proxy/seg-1.jpg.ts?url=https%3A%2F%2Fh%2Fch1%2Fseg-1.jpg
	// #EXTINF:4,
	// /proxy/seg-2.ts?url=https%3A%2F%2Fh%2Fch1%2Fseg-2.ts
	// <nil>
}

// List every URI of a playlist.
func ExampleRefs() {
	playlist := []byte(`#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="audio/en.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO="a"
../hd/index.m3u8
`)
	for ref, err := range rewrite.Refs(playlist, "https://cdn.example/ch1/main.m3u8") {
		fmt.Println(ref.Kind, ref.Tag, ref.URL, err)
	}
	// Output:
	// Playlist EXT-X-MEDIA https://cdn.example/ch1/audio/en.m3u8 <nil>
	// Playlist EXT-X-STREAM-INF https://cdn.example/hd/index.m3u8 <nil>
}

// Drop the variants above 720p, and with them the renditions that only they use.
func ExampleRewriter_variant() {
	rw := &rewrite.Rewriter{
		Variant: func(v *m3u8.Variant) bool {
			var width, height int
			_, err := fmt.Sscanf(v.Resolution, "%dx%d", &width, &height)
			return err != nil || height <= 720 // audio only has no resolution
		},
	}
	out, err := rw.Append(context.Background(), nil, []byte(`#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="surround",NAME="en",URI="surround.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="stereo",NAME="en",URI="stereo.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=6000000,RESOLUTION=1920x1080,AUDIO="surround"
1080p.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720,AUDIO="stereo"
720p.m3u8
`), "https://cdn.example/ch1/main.m3u8")
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// #EXTM3U
	// #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="stereo",NAME="en",URI="https://cdn.example/ch1/stereo.m3u8"
	// #EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720,AUDIO="stereo"
	// https://cdn.example/ch1/720p.m3u8
	// <nil>
}

// Read the hints of an IPTV list. With a Sealer they would be part of the links.
func ExampleRewriter_hints() {
	rw := &rewrite.Rewriter{Map: rewrite.Query("/proxy", "url"), Hints: true, Guides: true, Public: "https://me.example"}
	out, err := rw.Append(context.Background(), nil, []byte(`#EXTM3U
#EXTINF:-1 tvg-logo="http://l.example/1.png",One
http://tv.example/1.m3u8|User-Agent=VLC
`), "http://list.example/all.m3u")
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// #EXTM3U
	// #EXTINF:-1 tvg-logo="https://me.example/proxy/1.png?url=http%3A%2F%2Fl.example%2F1.png",One
	// https://me.example/proxy/1.m3u8?url=http%3A%2F%2Ftv.example%2F1.m3u8
	// <nil>
}
