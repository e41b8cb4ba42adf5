package hls_test

import (
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestRefs(t *testing.T) {
	const list = "\ufeff#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\r\n#EXT-X-MAP:BYTERANGE=\"1@2\",URI=\"init.mp4\"\r\r\n" +
		"#EXTINF:4,a,URI=\"x\"\n  1.ts?a=b,c \n#EXT-X-PART:DURATION=1,URI=\"2,0.ts\",INDEPENDENT=YES\n#EXT-X-PART:URI=\"2\n" +
		"#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.1.ts\"\n{$base}/3.ts\n#EXT-X-MAP:URI=bare.mp4\n#EXT-X-PART:NONE\n#EXT-X-PART:\nlast.ts"
	var refs, hints []string
	for ref, hint := range hls.Refs([]byte(list)) {
		refs = append(refs, ref)
		if hint {
			hints = append(hints, ref)
		}
	}
	require.Equal(t, []string{"init.mp4", "1.ts?a=b,c", "2,0.ts", "2.1.ts", "bare.mp4", "last.ts"}, refs)
	require.Equal(t, []string{"2.1.ts"}, hints)
	for range hls.Refs([]byte(list)) {
		break
	}
}

func FuzzRefs(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"a\"\nb"))
	f.Fuzz(func(t *testing.T, list []byte) {
		for ref := range hls.Refs(list) {
			require.NotEmpty(t, ref)
		}
	})
}
