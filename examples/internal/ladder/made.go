package ladder

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Made describes the result of Convert.
type Made struct {
	Length  time.Duration
	Bytes   int64  // of all sizes
	Picture []byte // JPEG, at most 320 pixels wide and high; nil: there is none
}

const (
	pictureTime = time.Minute // for making the picture
	mostPicture = 256 << 10   // bytes
)

// describe examines the files in a folder. The last rendition is the smallest.
func (t Tools) describe(ctx context.Context, folder string, renditions []rendition) (made Made, err error) {
	least := filepath.Join(HLSFolder, renditions[len(renditions)-1].folder)
	media, err := readMedia(filepath.Join(folder, least, "index.m3u8"))
	if err != nil {
		return made, err
	}
	segments := media.GetAllSegments()
	for _, s := range segments {
		made.Length += time.Duration(s.Duration * float64(time.Second))
	}
	err = filepath.WalkDir(filepath.Join(folder, HLSFolder), func(_ string, e os.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil && e.Type().IsRegular() {
			if info, err = e.Info(); err == nil {
				made.Bytes += info.Size()
			}
		}
		return err
	})
	if err == nil && renditions[0].width > 0 && len(segments) > 0 {
		made.Picture = t.picture(ctx, folder, filepath.Join(least, segments[len(segments)/10].URI))
	}
	return made, err
}

// picture is the first picture of a segment. It is optional: nil stands for every failure.
func (t Tools) picture(ctx context.Context, folder, segment string) []byte {
	demuxer, input := "mpegts", "file:"+segment
	if filepath.Ext(segment) == ".m4s" { // it says nothing without its section; to seek in the playlist is what ffmpeg 5 cannot
		demuxer, input = "mov", "concat:"+filepath.Join(filepath.Dir(segment), "init.mp4")+"|"+segment
	}
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error"}, bounded(1)...)
	args = append(args, "-protocol_whitelist", "file,concat", "-f", demuxer, "-i", input,
		"-map", "0:v:0", "-frames:v", "1", "-vf", "scale=320:320:force_original_aspect_ratio=decrease", "-q:v", "5", "-f", "mjpeg", "pipe:1")
	jpeg := &head{most: mostPicture}
	if err := t.run(ctx, pictureTime, folder, jpeg, t.ffmpeg, args...); err != nil || jpeg.over || len(jpeg.kept) == 0 {
		return nil
	}
	return jpeg.kept
}
