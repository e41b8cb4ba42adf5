//go:build race

package main

// crowd is how many viewers this process can play on two cores. The race detector makes it ten times slower.
const crowd, raced = 120, true
