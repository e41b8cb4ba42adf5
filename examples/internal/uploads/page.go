package uploads

import _ "embed"

//go:embed page/upload.html
var pageHTML string

//go:embed page/upload.js
var pageJS string

// More is the part of films.Page that takes films and shows how far they are. Its data is what Refused returns.
var More = pageHTML + `{{define "upload.js"}}` + pageJS + `{{end}}`
