package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"syscall"
)

// refusal is a failure whose text is meant for the uploader.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func (r refusal) answer(w http.ResponseWriter) {
	if r.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60")
	}
	http.Error(w, r.text, r.status)
}

var (
	errBusy      = refusal{http.StatusServiceUnavailable, "Too many films are on their way; try again in a minute."}
	errCancelled = refusal{http.StatusConflict, "The film was cancelled."}
	errStopping  = refusal{http.StatusServiceUnavailable, "The film was cancelled: the server is stopping."}
	errLeft      = refusal{http.StatusBadRequest, "The film was cancelled: its uploader left."}
	errForm      = refusal{http.StatusBadRequest, `Send the film as the field "film" of a multipart/form-data form.`}
	errPartial   = refusal{http.StatusBadRequest, "The film did not arrive whole."}
	errFull      = refusal{http.StatusInsufficientStorage, "There is no room left on the server's disk."}
)

// refusalFor finds words for what went wrong. What is nobody's business but the server's goes to its standard error.
func refusalFor(err error) refusal {
	var no refusal
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &long):
		return refusal{http.StatusRequestEntityTooLarge, "A film may have at most " + sizeName(long.Limit-formSize) + "."}
	case errors.Is(err, syscall.ENOSPC):
		return errFull
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded):
		return errPartial
	}
	fmt.Fprintln(os.Stderr, "vod: upload:", err)
	if errors.Is(err, fs.ErrPermission) {
		return refusal{http.StatusInternalServerError, "The server may not write to its folder of films."}
	}
	return refusal{http.StatusInternalServerError, "The server could not store the film."}
}
