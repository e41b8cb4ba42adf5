// Package coding tells the content codings of a body (RFC 9110 section 8.4.1) from what else stands in a Content-Encoding:
// object stores and frameworks write aws-chunked, utf-8, binary, none or nothing there, and players look at the bytes.
//
// All functions may be called concurrently.
package coding

import (
	"net/http"
	"strings"
)

// Is reports a header that names a content coding.
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

// List is the content codings that a header names, in the order in which they were applied, by their names in lower case and
// without "x-". What is no coding is left out.
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

// Set makes a header name these codings, in place of all that it names now.
func Set(h http.Header, list []string) {
	if len(list) == 0 {
		delete(h, "Content-Encoding")
		return
	}
	h["Content-Encoding"] = []string{strings.Join(list, ", ")}
}

// name is that of a content coding of the IANA registry, "" for what is none.
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
