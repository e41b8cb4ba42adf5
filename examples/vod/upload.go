package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

// uploads receives films and has ffmpeg turn them into HLS, each while its uploader waits for the answer: who leaves
// gives the film up. Everything happens in a hidden folder, and the result is renamed into place when it is whole.
type uploads struct {
	dir     string // where films are served from
	limit   int64  // bytes of a film
	tools   tools
	ctx     context.Context
	link    func(path string) (string, error)
	jobs    *jobs
	refused refusal // what every upload is answered; zero: it is taken
}

const hidden = ".upload-" // begins the names of folders that are not yet whole

// newUploads also clears away what a killed process left behind: two servers must not take films for the same folder.
func newUploads(ctx context.Context, o options, link func(string) (string, error)) (*uploads, error) {
	u := &uploads{dir: o.dir, limit: o.max, ctx: ctx, link: link, jobs: newJobs()}
	var err error
	if u.tools, err = findTools(); err != nil {
		u.refused = refusal{http.StatusNotImplemented, "Films cannot be uploaded: ffmpeg is not installed here."}
	}
	left, err := filepath.Glob(filepath.Join(o.dir, hidden+"*"))
	for _, folder := range left {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return u, err
}

func (u *uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u.refused.text != "" {
		u.refused.answer(w)
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	defer context.AfterFunc(r.Context(), func() { cancel(errLeft) })()
	defer context.AfterFunc(u.ctx, func() { cancel(errStopping) })()
	j, err := u.jobs.add(cancel)
	if err != nil {
		refusalFor(err).answer(w)
		return
	}
	w.Header().Set("Vod-Job", strconv.Itoa(j.ID))
	link, err := u.take(ctx, w, r, j)
	if err != nil {
		no := refusalFor(err)
		u.jobs.end(j, "", no.text)
		no.answer(w)
		return
	}
	u.jobs.end(j, link, "")
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, link)
}

// take returns the link to what the film became. A failed or cancelled upload leaves nothing.
func (u *uploads) take(ctx context.Context, w http.ResponseWriter, r *http.Request, j *job) (link string, err error) {
	work, err := os.MkdirTemp(u.dir, hidden)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	film, err := u.receive(ctx, w, r, j, filepath.Join(work, filmFile))
	if err != nil {
		return "", err
	}
	if err := u.jobs.wait(ctx, j); err != nil {
		return "", err
	}
	percent := func(n int) { u.jobs.progress(j, n) }
	if err := u.tools.convert(ctx, work, film.demuxer, film.fragmented, percent); err != nil {
		return "", err
	}
	name, err := publish(filepath.Join(work, hlsFolder), u.dir, film.title)
	if err != nil {
		return "", err
	}
	return u.link("/vod/" + name + "/index.m3u8")
}
