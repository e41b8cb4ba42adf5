//go:build race

package main

// crowd is how many viewers this process can play on two cores with the race detector, which makes it ten times slower.
const crowd = 120
