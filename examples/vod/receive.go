package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// receive streams the form's film to a file.
func (u *uploads) receive(w http.ResponseWriter, r *http.Request, file string) (title, demuxer string, err error) {
	const idle, form = 30 * time.Second, 64 << 10
	rc := http.NewResponseController(w)
	defer rc.SetReadDeadline(time.Time{})
	r.Body = http.MaxBytesReader(w, renewing{r.Body, rc, idle}, u.limit+form)
	parts, err := r.MultipartReader()
	if err != nil {
		return "", "", refusal{http.StatusBadRequest, "Send the film as the field \"film\" of a multipart/form-data form."}
	}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return "", "", whyNot(err)
		}
		if part.FormName() != "film" || part.FileName() == "" {
			continue
		}
		film := bufio.NewReaderSize(part, 64<<10)
		head, _ := film.Peek(512)
		demuxer, ok := demuxerOf(head)
		if !ok {
			return "", "", refusal{http.StatusUnsupportedMediaType, "That is no film in a container that is known here (MP4, MOV, MKV, WebM, TS, AVI, FLV, MPEG, Ogg)."}
		}
		return titleOf(part.FileName()), demuxer, whyNot(store(file, film))
	}
}

func store(file string, film io.Reader) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, film)
	return errors.Join(err, f.Close())
}

// whyNot tells a form that ended early from a disk that failed.
func whyNot(err error) error {
	if errors.Is(err, io.EOF) {
		return refusal{http.StatusBadRequest, "The form holds no field \"film\"."}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return refusal{http.StatusBadRequest, "The film did not arrive whole."}
	}
	return err
}

// renewing allows each read its own time, since a film may take hours.
type renewing struct {
	io.ReadCloser
	rc   *http.ResponseController
	idle time.Duration
}

func (r renewing) Read(p []byte) (int, error) {
	r.rc.SetReadDeadline(time.Now().Add(r.idle))
	return r.ReadCloser.Read(p)
}
