//go:build !race

package main

// crowd is how many viewers this process plays.
const crowd = 500
