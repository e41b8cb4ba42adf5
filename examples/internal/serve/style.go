package serve

import (
	_ "embed"
	"net/http"
)

//go:embed style.css
var style []byte

// Style is the style sheet that the pages of the examples share.
func Style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(style)
}
