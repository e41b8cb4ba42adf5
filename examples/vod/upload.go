package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// uploads receives films and has ffmpeg turn them into HLS. A few may arrive at a time, one is converted at a time, and
// the others wait for their turn. Everything happens in a hidden folder that is renamed into place when it is whole.
type uploads struct {
	dir    string // where films are served from
	ffmpeg string // the program
	limit  int64  // bytes of a film
	ctx    context.Context
	link   func(path string) (string, error)

	refused refusal       // what every upload is answered; zero: it is taken
	places  chan struct{} // one for each film that may arrive at a time
	turn    chan struct{} // one in all
}

const hidden = ".upload-" // begins the names of folders that are not yet whole

// newUploads also clears away what a killed process left behind: two servers must not take films for the same folder.
func newUploads(ctx context.Context, o options, link func(string) (string, error)) (*uploads, error) {
	u := &uploads{dir: o.dir, limit: o.max, ctx: ctx, link: link, places: make(chan struct{}, 4), turn: make(chan struct{}, 1)}
	var err error
	if u.ffmpeg, err = exec.LookPath("ffmpeg"); err != nil {
		u.refused = refusal{http.StatusNotImplemented, "Films cannot be uploaded: ffmpeg is not installed here."}
	}
	left, err := filepath.Glob(filepath.Join(o.dir, hidden+"*"))
	for _, folder := range left {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return u, err
}

// refusal is a failure whose text is meant for the uploader.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func (u *uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, err := u.take(w, r)
	var no refusal
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		no = refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("A film may have %d bytes at most.", u.limit)}
	case err != nil && !errors.As(err, &no):
		no = refusal{http.StatusInternalServerError, "The film could not be stored."}
		fmt.Fprintln(os.Stderr, "vod: upload:", err)
	}
	if err != nil {
		if no.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "60")
		}
		http.Error(w, no.text, no.status)
		return
	}
	link, err := u.link("/vod/" + name + "/index.m3u8")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, link)
}

// take returns the name of the folder that the film became. A failed or cancelled upload leaves nothing.
func (u *uploads) take(w http.ResponseWriter, r *http.Request) (name string, err error) {
	if u.refused.text != "" {
		return "", u.refused
	}
	select {
	case u.places <- struct{}{}:
		defer func() { <-u.places }()
	default:
		return "", refusal{http.StatusServiceUnavailable, "Too many films are arriving; try again in a minute."}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(u.ctx, cancel)()

	work, err := os.MkdirTemp(u.dir, hidden)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	title, demuxer, err := u.receive(w, r, filepath.Join(work, "film"))
	if err != nil {
		return "", err
	}
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return "", refusal{http.StatusServiceUnavailable, "The server is stopping."}
	}
	if err := convert(ctx, u.ffmpeg, demuxer, filepath.Join(work, "film"), filepath.Join(work, "hls")); err != nil {
		return "", err
	}
	return publish(filepath.Join(work, "hls"), u.dir, title)
}

// titleOf makes the name of a folder from that of a film.
func titleOf(file string) string {
	title := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, strings.TrimSuffix(file, filepath.Ext(file)))
	if runes := []rune(title); len(runes) > 60 {
		title = string(runes[:60])
	}
	if title = strings.Trim(title, ".-"); title == "" {
		return "film"
	}
	return title
}

// publish renames a folder into place under the first free name.
func publish(from, dir, title string) (string, error) {
	name := title
	for n := 2; n < 1000; n++ {
		to := filepath.Join(dir, name)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return name, os.Rename(from, to) // which never replaces a folder
		}
		name = title + "-" + strconv.Itoa(n)
	}
	return "", fmt.Errorf("there is a lot with the name %q already", title)
}
