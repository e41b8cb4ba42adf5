// Package playlists makes playlists of the common shapes, for measurements.
package playlists

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Base is the URL of the playlists.
const Base = "https://cdn.example.com/live/channel1/1080p/index.m3u8?session=8f14e45fceea167a"

// Shape is a playlist with a name.
type Shape struct {
	Name string
	Text []byte
	URIs int
}

// All returns one playlist of each shape.
func All() []Shape {
	return []Shape{Live(), LowLatency(), Multivariant(40, 30, 8), VOD(1000), VOD(10000), Signed(1000)}
}

// Live is the window of a plain live stream.
func Live() Shape {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:31415\n")
	for i := range 6 {
		fmt.Fprintf(&b, "#EXTINF:6.00600,\nsegment_%06d.ts?sid=8f14e45f\n", 31415+i)
	}
	return Shape{"live", []byte(b.String()), 6}
}

// LowLatency is a live window with parts, a preload hint, and reports of three other renditions.
func LowLatency() Shape {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=0.33334\n" +
		"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0,CAN-SKIP-UNTIL=24.0\n#EXT-X-MEDIA-SEQUENCE:2710\n#EXT-X-MAP:URI=\"init.mp4\"\n")
	uris := 1
	for i := range 10 {
		if i%4 == 0 {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:%02d.000Z\n", i*4)
		}
		if i >= 7 {
			for p := range 12 {
				independent := ""
				if p == 0 {
					independent = ",INDEPENDENT=YES"
				}
				fmt.Fprintf(&b, "#EXT-X-PART:DURATION=0.33334,URI=\"filePart%d.%d.m4s\"%s\n", 2710+i, p, independent)
				uris++
			}
		}
		fmt.Fprintf(&b, "#EXTINF:4.00008,\nfileSequence%d.m4s\n", 2710+i)
		uris++
	}
	for p := range 7 {
		fmt.Fprintf(&b, "#EXT-X-PART:DURATION=0.33334,URI=\"filePart2720.%d.m4s\"\n", p)
		uris++
	}
	b.WriteString("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"filePart2720.7.m4s\"\n")
	for _, r := range []string{"720p", "480p", "360p"} {
		fmt.Fprintf(&b, "#EXT-X-RENDITION-REPORT:URI=\"../%s/index.m3u8\",LAST-MSN=2720,LAST-PART=6\n", r)
	}
	return Shape{"LL-HLS", []byte(b.String()), uris + 4}
}

// Multivariant has variants, renditions and I-frame variants.
func Multivariant(variants, renditions, iframes int) Shape {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	for i := range renditions {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-%d\",NAME=\"Language, number %d\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/%d/index.m3u8\"\n", i%3, i, i)
	}
	for i := range variants {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"avc1.640028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=50.000,AUDIO=\"audio-%d\"\nvideo/%d/index.m3u8?token=a1b2c3d4\n", 5000000+i, 4000000+i, i%3, i)
	}
	for i := range iframes {
		fmt.Fprintf(&b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,CODECS=\"avc1.640028\",RESOLUTION=1920x1080,URI=\"iframe/%d/index.m3u8\"\n", 500000+i, i)
	}
	return Shape{"multivariant", []byte(b.String()), variants + renditions + iframes}
}

// VOD has this many segments, a key for every ten of them, and two maps.
func VOD(segments int) Shape {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n")
	uris := 0
	for i := range segments {
		if i%10 == 0 {
			fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=AES-128,URI=\"keys/key_%05d.key\",IV=0x%032x\n", i/10, i)
			uris++
		}
		if i == 0 || i == segments/2 {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"init_%d.mp4\"\n", i)
			uris++
		}
		fmt.Fprintf(&b, "#EXTINF:6.00600,\nmedia/segment_%06d.m4s?token=8f14e45fceea167a5a36dedd4bea2543-%06d\n", i, i)
		uris++
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return Shape{fmt.Sprintf("VOD %d", segments), []byte(b.String()), uris}
}

// Signed has no repetitions: each segment has a random name, a duration of its own, and a signature.
func Signed(segments int) Shape {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n")
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(rnd.Uint32())
		}
		return raw
	}
	for range segments {
		duration := 6 * rnd.Float64()
		fmt.Fprintf(&b, "#EXTINF:%v,\n%x.m4s?Expires=1795600000&Signature=%s~&Key-Pair-Id=K2JCJMDEHXQW5F\n",
			float32(duration), random(rnd.IntN(8)+8), base64.RawURLEncoding.EncodeToString(random(96)))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return Shape{fmt.Sprintf("signed %d", segments), []byte(b.String()), segments}
}
