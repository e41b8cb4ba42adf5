// Package uploads receives films and converts them to HLS with ffmpeg, one after the other. A page can watch the progress of
// each, and cancel it.
package uploads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
	"github.com/hlsproxy/hlsproxy/internal/caller"
)

// Uploads is a handler that accepts a film by POST. It answers when the film plays or has failed: if the uploader leaves, the
// film is dropped. All work is done in a hidden folder, and only complete films are published.
type Uploads struct {
	c     Config
	ctx   context.Context
	tools ladder.Tools
	jobs  *jobs
}

// Config configures Uploads.
type Config struct {
	Dir   string // films are converted in hidden folders below it
	Limit int64  // bytes of a film
	// Publish takes a converted film and returns where it plays. Files that it leaves behind are removed. It reports its
	// progress in percent.
	Publish func(ctx context.Context, film Film, percent func(int)) (link string, err error)
	// Idle is how long the next bytes of a film may take before it loses its place. Zero: 30 s.
	Idle    time.Duration
	Refused string // why films are refused; empty: they are accepted
}

// Film is a converted upload.
type Film struct {
	Title  string // fit for the name of a folder
	File   string // the film as it was sent
	Ext    string // its usual extension, with a dot
	Folder string // its HLS; index.m3u8 is what players open
}

const hidden = ".upload-" // prefix of the names of incomplete folders

// New also removes the remains of a killed process: two servers must not use the same folder. Films in progress are dropped
// when ctx ends.
func New(ctx context.Context, c Config) (*Uploads, error) {
	c.Limit = min(c.Limit, math.MaxInt64-formSize)
	u := &Uploads{c: c, ctx: ctx, jobs: newJobs()}
	var err error
	if u.tools, err = ladder.FindTools(); err != nil {
		u.c.Refused = noFFmpeg
	}
	entries, err := os.ReadDir(c.Dir)
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), hidden) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.Dir, e.Name())))
		}
	}
	return u, err
}

const noFFmpeg = "Films cannot be uploaded: ffmpeg is not installed here."

// Refused is why films are refused, empty if they are accepted.
func (u *Uploads) Refused() string { return u.c.Refused }

// ServeHTTP accepts a film.
func (u *Uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch u.c.Refused {
	case "":
	case noFFmpeg:
		http.Error(w, noFFmpeg, http.StatusNotImplemented)
		return
	default:
		http.Error(w, u.c.Refused, http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	defer context.AfterFunc(r.Context(), func() { cancel(errLeft) })()
	defer context.AfterFunc(u.ctx, func() { cancel(errStopping) })()
	j, err := u.jobs.add(caller.Name(r), cancel)
	if err != nil {
		answer(w, u.refusalFor(err))
		return
	}
	w.Header().Set("Vod-Job", strconv.Itoa(j.ID))
	link, err := u.take(ctx, w, r, j)
	if err != nil {
		no := u.refusalFor(err)
		u.jobs.end(j, "", no.Text)
		answer(w, no)
		return
	}
	u.jobs.end(j, link, "")
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, link)
}

// take returns the link to the finished film. A failed or cancelled upload leaves nothing behind.
func (u *Uploads) take(ctx context.Context, w http.ResponseWriter, r *http.Request, j *Job) (link string, err error) {
	work, err := os.MkdirTemp(u.c.Dir, hidden)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	film, err := u.receive(ctx, w, r, j, filepath.Join(work, ladder.FilmFile))
	if err != nil {
		return "", err
	}
	if err := u.jobs.wait(ctx, j); err != nil {
		return "", err
	}
	percent := func(n int) { u.jobs.progress(j, n) }
	made, err := u.tools.Convert(ctx, work, film.demuxer, film.fragmented, percent)
	if err != nil {
		return "", err
	}
	u.jobs.describe(j, made)
	u.jobs.store(j)
	link, err = u.c.Publish(ctx, Film{
		Title: film.title, File: filepath.Join(work, ladder.FilmFile), Ext: ladder.Ext(film.demuxer), Folder: filepath.Join(work, ladder.HLSFolder),
	}, percent)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return link, err
}
