// Package films is shared by the programs that serve a folder of films: the folder, the list of playable files, and the page
// that plays them.
package films

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hlsproxy/hlsproxy/rangeserve"
)

// Folder serves the files of a directory. It looks the directory up by its name, so it notices when another one is renamed into
// its place.
type Folder struct {
	name string

	mu    sync.Mutex
	info  os.FileInfo
	root  *os.Root
	files *rangeserve.Files
}

// Open opens a folder.
func Open(name string) (*Folder, error) {
	f := &Folder{name: name}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("-dir %q: give the path of a folder that exists: %w", name, err)
	}
	return f, nil
}

// open leaves the old root to the garbage collector, because answers may still read below it.
func (f *Folder) open() error {
	root, err := os.OpenRoot(f.name)
	if err != nil {
		return err
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return err
	}
	f.info, f.root, f.files = info, root, &rangeserve.Files{Root: root, Faststart: true}
	return nil
}

// now is the folder that has the name now, or the last one that had it.
func (f *Folder) now() (*os.Root, *rangeserve.Files) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if info, err := os.Stat(f.name); err == nil && !os.SameFile(info, f.info) {
		if err := f.open(); err == nil {
			log.Printf("%s has been replaced", f.name)
		}
	}
	return f.root, f.files
}

// ServeHTTP serves the file of the path. A browser cannot run any of these files.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ext := strings.ToLower(path.Ext(r.URL.Path)); !slices.Contains(harmless, ext) {
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	}
	_, files := f.now()
	files.ServeHTTP(w, r)
}

// harmless are the types of files that browsers only play. Anything else might be a page, whatever its name.
var harmless = []string{
	".m3u8", ".m3u", ".ts", ".m2ts", ".mts", ".m4s", ".mp4", ".m4v", ".m4a", ".mov", ".cmfv", ".cmfa", ".cmft", ".webm", ".mkv",
	".mp3", ".aac", ".ac3", ".ec3", ".eac3", ".flac", ".ogg", ".oga", ".ogv", ".opus", ".wav", ".vtt", ".webvtt", ".key", ".bin",
}
