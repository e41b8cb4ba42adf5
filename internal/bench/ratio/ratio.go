// Package ratio compares contenders by turns, so that whatever else the machine does meets all of them alike. On a machine
// that is busy otherwise, many short rounds and the least of them tell more than the medians of a few long ones.
package ratio

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Contender is one way to do a job. Run does it once.
type Contender struct {
	Name string
	Run  func()
}

// Result is what a Contender needed for one run: the median and the least of all rounds.
type Result struct {
	Name        string
	Median, Min time.Duration
}

// Compare lets the contenders take turns for so many rounds, each of about the time given.
func Compare(rounds int, round time.Duration, contenders ...Contender) []Result {
	times := make([][]time.Duration, len(contenders))
	runs := make([]int, len(contenders))
	for i, c := range contenders {
		c.Run() // buffers grow once
		start := time.Now()
		for runs[i] = 0; time.Since(start) < round; runs[i]++ {
			c.Run()
		}
	}
	for range rounds {
		for i, c := range contenders {
			start := time.Now()
			for range runs[i] {
				c.Run()
			}
			times[i] = append(times[i], time.Since(start)/time.Duration(runs[i]))
		}
	}
	var results []Result
	for i, c := range contenders {
		slices.Sort(times[i])
		results = append(results, Result{c.Name, times[i][len(times[i])/2], times[i][0]})
	}
	return results
}

// Print writes each result and how many times the one named it took, by the medians, and by the least.
func Print(w io.Writer, results []Result, anchors ...string) {
	for _, r := range results {
		fmt.Fprintf(w, "  %-22s %12v", r.Name, r.Median)
		for _, anchor := range anchors {
			for _, a := range results {
				if a.Name == anchor {
					fmt.Fprintf(w, "  %8.2fx %-6s (least %.2fx)", float64(r.Median)/float64(a.Median), anchor, float64(r.Min)/float64(a.Min))
				}
			}
		}
		fmt.Fprintln(w)
	}
}
