package uploads

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
)

const formSize = 64 << 10 // for the parts of a form besides its film

// received is what a form says about its film.
type received struct {
	title, demuxer string // empty: no film yet
	fragmented     bool   // MP4 segments instead of MPEG-TS
}

// receive streams the form's film to a file, and reads the form to its end: only then does the server notice when the client
// leaves.
func (u *Uploads) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, j *Job, file string) (film received, err error) {
	rc := http.NewResponseController(w)
	defer func() {
		until := time.Time{}
		if err != nil {
			until = time.Now().Add(time.Second) // net/http reads on before it sends the answer
		}
		rc.SetReadDeadline(until)
	}()
	defer context.AfterFunc(ctx, func() { rc.SetReadDeadline(time.Unix(1, 0)) })()
	body := &arrival{body: r.Body, ctx: ctx, rc: rc, idle: cmp.Or(u.c.Idle, 30*time.Second), of: r.ContentLength, percent: func(n int) { u.jobs.progress(j, n) }}
	r.Body = http.MaxBytesReader(w, body, u.c.Limit+formSize)
	parts, err := r.MultipartReader()
	if err != nil {
		return film, errForm
	}
	for err == nil {
		var part *multipart.Part
		if part, err = parts.NextPart(); err == nil {
			err = u.part(part, &film, j, file)
		}
	}
	switch {
	case errors.Is(err, errStalled): // net/http ends the request's context then
		return film, errStalled
	case ctx.Err() != nil:
		return film, context.Cause(ctx)
	case err != io.EOF:
		return film, formError(err)
	case film.demuxer == "":
		return film, errForm
	}
	return film, nil
}

func (u *Uploads) part(part *multipart.Part, film *received, j *Job, file string) error {
	switch part.FormName() {
	case "segments":
		value, err := io.ReadAll(io.LimitReader(fromClient{part}, 16))
		film.fragmented = string(value) == "fmp4"
		return err
	case "film":
		film.title = titleOf(part.FileName())
		u.jobs.name(j, film.title)
		data := bufio.NewReaderSize(fromClient{part}, 64<<10)
		head, err := data.Peek(512)
		var ok bool
		if film.demuxer, ok = ladder.Demuxer(head); !ok {
			if err != nil && err != io.EOF {
				return err
			}
			return errNoFilm
		}
		return store(file, data)
	}
	return nil
}

// formError explains a form that cannot be parsed. Errors of package mime/multipart have no type.
func formError(err error) error {
	var no ladder.Refusal
	var long *http.MaxBytesError
	var client sent
	var host *fs.PathError
	switch {
	case errors.As(err, &no), errors.As(err, &long), errors.As(err, &client), errors.As(err, &host):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		return sent{err}
	}
	return errForm
}

// fromClient marks the errors of a reader.
type fromClient struct{ io.Reader }

func (c fromClient) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = sent{err}
	}
	return n, err
}

// store refuses a second film, because the file exists already.
func store(file string, film io.Reader) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errForm
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, film)
	return errors.Join(err, f.Close())
}

// arrival gives each read a time limit of its own, because a film may take hours. It reports the progress.
type arrival struct {
	body    io.ReadCloser
	ctx     context.Context
	rc      *http.ResponseController
	idle    time.Duration
	of      int64 // -1: unknown
	got     int64
	percent func(int)
}

func (a *arrival) Read(p []byte) (int, error) {
	until := time.Now().Add(a.idle)
	a.rc.SetReadDeadline(until)
	if a.ctx.Err() != nil {
		return 0, context.Cause(a.ctx)
	}
	n, err := a.body.Read(p)
	if a.got += int64(n); a.of > 0 {
		a.percent(int(100 * a.got / a.of))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(until) {
		err = errStalled
	}
	return n, err
}

func (a *arrival) Close() error { return a.body.Close() }
