// Package oracle holds a test of rangeserve.Faststart against a library that knows MP4 well. It is a module of its own so that
// programs that serve films do not depend on that library.
package oracle
