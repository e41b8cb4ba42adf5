// Package oracle holds a test of rangeserve.Faststart against a library that knows MP4 well. It is a module of its own
// so that the library does not become a dependency of those who serve films.
package oracle
