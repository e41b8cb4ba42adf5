package ladder

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// rendition is one media playlist and its segments, in a folder of its own.
type rendition struct {
	rung   // zero: no picture
	folder string
	audio  bool
}

func (s source) renditions() []rendition {
	var all []rendition
	for _, r := range ladder(s.width, s.height) {
		all = append(all, rendition{r, r.name(), s.audio >= 0})
	}
	if all == nil {
		return []rendition{{folder: "audio", audio: true}}
	}
	return all
}

// writeMultivariant writes the playlist that players open, after all renditions. It examines the files: their sizes give the
// bandwidth that a player needs, and their parameter sets what it must be able to decode.
func writeMultivariant(folder string, renditions []rendition) error {
	playlist := m3u8.NewMasterPlaylist()
	playlist.SetIndependentSegments(true)
	for _, r := range renditions {
		params, err := r.params(filepath.Join(folder, r.folder))
		if err != nil {
			return err
		}
		playlist.Append(r.folder+"/index.m3u8", nil, params)
	}
	return os.WriteFile(filepath.Join(folder, "index.m3u8"), playlist.Encode().Bytes(), 0o644)
}

// errIncomplete is needed because ffmpeg ignores a full disk and reports success.
var errIncomplete = Refusal{http.StatusInsufficientStorage, "Parts of the film could not be stored; the server's disk may be full."}

func (r rendition) params(folder string) (m3u8.VariantParams, error) {
	var p m3u8.VariantParams
	media, err := readMedia(filepath.Join(folder, "index.m3u8"))
	if err != nil {
		return p, err
	}
	p.Bandwidth, p.AverageBandwidth, err = bandwidth(folder, media)
	if err != nil {
		return p, err
	}
	codecs := []string{}
	if r.width > 0 {
		first := media.Segments[0].URI
		if media.Map != nil {
			first = media.Map.URI
		}
		avc, err := codecOf(filepath.Join(folder, first))
		if err != nil {
			return p, err
		}
		codecs = append(codecs, avc)
		p.Resolution = fmt.Sprintf("%dx%d", r.width, r.height)
	}
	if r.audio {
		codecs = append(codecs, "mp4a.40.2") // AAC-LC, the only profile of ffmpeg's encoder
	}
	p.Codecs = strings.Join(codecs, ",")
	return p, nil
}

func readMedia(file string) (*m3u8.MediaPlaylist, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errIncomplete
	}
	defer f.Close()
	list, _, err := m3u8.DecodeFrom(bufio.NewReader(f), true)
	media, ok := list.(*m3u8.MediaPlaylist)
	if err != nil || !ok || media.Count() == 0 || !media.Closed {
		return nil, errIncomplete
	}
	return media, nil
}
