// Package coding tells content codings (RFC 9110 section 8.4.1) from the other values of Content-Encoding: object stores and
// frameworks send aws-chunked, utf-8, binary, none or nothing, and players look at the bytes.
//
// All functions may be called concurrently.
package coding

import (
	"net/http"
	"strings"
)

// Most is how many codings of one body are decoded. Each takes 50 KB of memory, a header has room for fifty thousand, and there
// are bytes that are their own decoded form.
const Most = 5

// Is reports whether a header names a content coding.
func Is(h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		for line != "" {
			var member string
			if member, line, _ = strings.Cut(line, ","); name(member) != "" {
				return true
			}
		}
	}
	return false
}

// List is the content codings of a header in the order in which they were applied, in lower case and without "x-". Other values
// are left out.
func List(h http.Header) (all []string) {
	for _, line := range h["Content-Encoding"] {
		for member := range strings.SplitSeq(line, ",") {
			if c := name(member); c != "" {
				all = append(all, c)
			}
		}
	}
	return all
}

// Set replaces the content codings of a header.
func Set(h http.Header, list []string) {
	if len(list) == 0 {
		delete(h, "Content-Encoding")
		return
	}
	h["Content-Encoding"] = []string{strings.Join(list, ", ")}
}

// name is the name of a content coding in the IANA registry, "" for any other value.
func name(member string) string {
	c := strings.ToLower(strings.Trim(member, " \t"))
	switch c {
	case "x-gzip", "x-compress":
		return c[len("x-"):]
	case "gzip", "deflate", "compress", "br", "zstd", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm":
		return c
	}
	return ""
}
