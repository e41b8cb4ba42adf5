package uploads

import (
	"errors"
	"io/fs"
	"log"
	"net/http"
	"os"
	"syscall"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

func answer(w http.ResponseWriter, no ladder.Refusal) {
	if no.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60")
	}
	http.Error(w, no.Text, no.Status)
}

var (
	errBusy      = ladder.Refusal{Status: http.StatusServiceUnavailable, Text: "Too many films are on their way; try again in a minute."}
	errGaveWay   = ladder.Refusal{Status: http.StatusServiceUnavailable, Text: "The film gave way to somebody who had none on the way; try again in a minute."}
	errCancelled = ladder.Refusal{Status: http.StatusConflict, Text: "The film was cancelled."}
	errStopping  = ladder.Refusal{Status: http.StatusServiceUnavailable, Text: "The film was cancelled: the server is stopping."}
	errLeft      = ladder.Refusal{Status: http.StatusBadRequest, Text: "The film was cancelled: its uploader left."}
	errForm      = ladder.Refusal{Status: http.StatusBadRequest, Text: `Send the film as the field "film" of a multipart/form-data form.`}
	errPartial   = ladder.Refusal{Status: http.StatusBadRequest, Text: "The film did not arrive whole."}
	errStalled   = ladder.Refusal{Status: http.StatusBadRequest, Text: "The film was given up: nothing of it came for too long."}
	errNoFilm    = ladder.Refusal{Status: http.StatusUnsupportedMediaType, Text: "That is no film in a container that is known here (MP4, MOV, MKV, WebM, TS, AVI, FLV, MPEG, Ogg)."}
)

// sent marks an error in what the client sends.
type sent struct{ error }

// Unwrap returns the error itself.
func (s sent) Unwrap() error { return s.error }

// refusalFor explains a failure. The server's own faults go to its log.
func (u *Uploads) refusalFor(err error) ladder.Refusal {
	var no ladder.Refusal
	var long *http.MaxBytesError
	var client sent
	var told interface {
		error
		HTTPStatus() int
	}
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &long):
		return ladder.Refusal{Status: http.StatusRequestEntityTooLarge, Text: "A film may have at most " + serve.SizeName(u.c.Limit) + "."}
	case errors.As(err, &client):
		return errPartial
	case errors.Is(err, syscall.ENOSPC):
		return ladder.ErrFull
	case errors.As(err, &told):
		return ladder.Refusal{Status: told.HTTPStatus(), Text: told.Error()}
	}
	log.Print("upload: ", err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ladder.Refusal{Status: http.StatusInternalServerError, Text: "The server may not write to its folder of films."}
	case errors.Is(err, os.ErrNotExist):
		return ladder.Refusal{Status: http.StatusInternalServerError, Text: "The server could not store the film: its folder is gone."}
	}
	return ladder.Refusal{Status: http.StatusInternalServerError, Text: "The server could not store the film."}
}
