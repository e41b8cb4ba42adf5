package films

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/rewrite"
)

// List lists everything playable below the folder.
func (f *Folder) List() []string {
	root, _ := f.now()
	return playable(root.FS(), ".")
}

// playable lists everything playable in a folder and below: its playlists if it has any, otherwise its films. A multivariant
// playlist stands for everything in its folder; the one at the top stands only for what it names.
func playable(films fs.FS, dir string) []string {
	entries, _ := fs.ReadDir(films, dir)
	var playlists, single, below []string
	var master string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch ext := strings.ToLower(path.Ext(name)); {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			below = append(below, name)
		case !regular(films, name, e):
		case e.Name() == "master.m3u8", e.Name() == "index.m3u8" && master == "" && multivariant(films, name):
			master = name
		case ext == ".m3u8":
			playlists = append(playlists, name)
		case slices.Contains([]string{".mp4", ".m4v", ".mov", ".webm", ".m4a", ".mp3"}, ext):
			single = append(single, name)
		}
	}
	var own []string
	switch {
	case master != "" && dir != ".":
		return []string{master}
	case master != "":
		own = []string{master}
		named := namedBy(films, master)
		below = slices.DeleteFunc(below, func(folder string) bool { return named[folder] })
	case playlists != nil:
		own = playlists
	default:
		own = single
	}
	for _, folder := range below {
		own = append(own, playable(films, folder)...)
	}
	return own
}

// regular reports whether an entry is a file, or a link to one. Nothing else is opened, because a named pipe has no end.
func regular(films fs.FS, name string, e fs.DirEntry) bool {
	info, err := e.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = fs.Stat(films, name)
	}
	return err == nil && info.Mode().IsRegular()
}

// namedBy are the folders beside a playlist that contain files which it names.
func namedBy(films fs.FS, playlist string) map[string]bool {
	named := map[string]bool{}
	for ref, err := range rewrite.Refs(beginning(films, playlist, 1<<20), "http://films/") {
		if name, ok := strings.CutPrefix(ref.URL, "http://films/"); err == nil && ok {
			first, _, _ := strings.Cut(name, "/")
			named[first] = true
		}
	}
	return named
}

// multivariant looks only at the beginning: a playlist of playlists is short and names one early.
func multivariant(films fs.FS, name string) bool {
	return bytes.Contains(beginning(films, name, 4<<10), []byte("\n#EXT-X-STREAM-INF:"))
}

func beginning(films fs.FS, name string, most int64) []byte {
	f, err := films.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, most))
	return head
}
