package faultorigin

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
)

var codingHabits = []Habit{
	h("aws-chunked", with("Content-Encoding: aws-chunked")),
	h("utf-8", playlists(with("Content-Encoding: utf-8"))),
	h("binary", with("Content-Encoding: binary")),
	h("the coding none", with("Content-Encoding: none")),
	h("identity", with("Content-Encoding: identity")),
	h("an empty coding", with("Content-Encoding: ")),
	h("gzip without being asked", playlists(func(a *Answer) { a.Body = zipped(a.Body); a.Field("Content-Encoding", "gzip") })),
	h("gzip that is not gzip", playlists(with("Content-Encoding: gzip"))),
	h("gzip named twice", playlists(func(a *Answer) { a.Body = zipped(a.Body); a.Field("Content-Encoding", "gzip, gzip") })),
	h("gzip in two fields", playlists(func(a *Answer) {
		a.Body = zipped(a.Body)
		a.Fields = append(a.Fields, "Content-Encoding: gzip", "Content-Encoding: gzip")
	})),
	h("deflate", playlists(func(a *Answer) { a.Body = deflated(a.Body); a.Field("Content-Encoding", "deflate") })),
	h("segments in gzip", segments(func(a *Answer) { a.Body = zipped(a.Body); a.Field("Content-Encoding", "gzip") })),
	h("chunked as a coding", with("Content-Encoding: chunked")),
	h("aws-chunked, then gzip", playlists(func(a *Answer) { a.Body = zipped(a.Body); a.Field("Content-Encoding", "aws-chunked, x-gzip") })),
	h("an extension as a coding", with("Content-Encoding: ts", "Content-Encoding: UTF-8")),
	h("br that is not br", playlists(with("Content-Encoding: br"))),
	h("deflate that is not deflate", playlists(with("Content-Encoding: deflate"))),
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}
