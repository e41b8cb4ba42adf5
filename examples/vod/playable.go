package main

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// playable names the entries of a folder and those below it: its playlists where it has any, of which a multivariant one
// stands for all, and else its films.
func playable(films fs.FS, dir string) []string {
	entries, _ := fs.ReadDir(films, dir)
	var playlists, single, below []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch ext := strings.ToLower(path.Ext(name)); {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			below = append(below, playable(films, name)...)
		case e.Name() == "master.m3u8", e.Name() == "index.m3u8" && multivariant(films, name):
			return []string{name}
		case ext == ".m3u8":
			playlists = append(playlists, name)
		case slices.Contains([]string{".mp4", ".m4v", ".mov", ".webm", ".m4a", ".mp3"}, ext):
			single = append(single, name)
		}
	}
	if playlists != nil {
		return append(playlists, below...)
	}
	return append(single, below...)
}

// multivariant tells by the beginning: what names other playlists is short and does so early.
func multivariant(films fs.FS, name string) bool {
	f, err := films.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, 4<<10))
	return bytes.Contains(head, []byte("\n#EXT-X-STREAM-INF:"))
}
