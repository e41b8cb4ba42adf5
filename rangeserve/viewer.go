package rangeserve

import (
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/stall"
)

// viewer writes to a client, with a deadline for each piece.
type viewer struct {
	http.ResponseWriter
	out stall.Writer
}

// Unwrap is for http.ResponseController.
func (v *viewer) Unwrap() http.ResponseWriter { return v.ResponseWriter }

func (v *viewer) Write(p []byte) (int, error) { return v.out.Write(p) }

// ReadFrom lets the kernel send a file. It asks for more time whenever the connection takes no more for now.
func (v *viewer) ReadFrom(src io.Reader) (int64, error) {
	file, ok := src.(*fileSection)
	to, can := v.ResponseWriter.(io.ReaderFrom)
	if !ok || !can {
		return io.Copy(struct{ io.Writer }{v}, src)
	}
	file.viewer = v
	v.out.Arm()
	return to.ReadFrom(file)
}
