// Package films is what the programs that serve a folder of films share: the folder, the list of what can be played, and
// the page that plays it.
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

// Folder serves the files of a directory, and is told by its name: what is renamed into its place is noticed.
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

// open leaves the old root to the garbage collector, since answers may still be reading below it.
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

// now is the folder that has the name at this moment, or the last one that had it.
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

// ServeHTTP serves the file of the path. What a browser might run is served so that it cannot.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ext := strings.ToLower(path.Ext(r.URL.Path)); !slices.Contains(harmless, ext) {
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	}
	_, files := f.now()
	files.ServeHTTP(w, r)
}

// harmless are the files that browsers only play. Everything else might be a page, whatever its name is.
var harmless = []string{
	".m3u8", ".m3u", ".ts", ".m2ts", ".mts", ".m4s", ".mp4", ".m4v", ".m4a", ".mov", ".cmfv", ".cmfa", ".cmft", ".webm", ".mkv",
	".mp3", ".aac", ".ac3", ".ec3", ".eac3", ".flac", ".ogg", ".oga", ".ogv", ".opus", ".wav", ".vtt", ".webvtt", ".key", ".bin",
}
