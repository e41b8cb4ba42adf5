//go:build !race

package main

// crowd is how many viewers this process plays.
const crowd, raced = 500, false
