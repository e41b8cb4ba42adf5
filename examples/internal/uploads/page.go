package uploads

import _ "embed"

//go:embed page/upload.html
var pageHTML string

//go:embed page/upload.js
var pageJS string

// More is the part of films.Page that accepts films and shows their progress. Its data is the result of Refused.
var More = pageHTML + `{{define "upload.js"}}` + pageJS + `{{end}}`
