// Package ratio compares contenders by turns, so that whatever else the machine does meets all of them alike, and by the
// processor time of this process, so that waiting for a processor that others use is nobody's cost. On a machine that is busy
// otherwise, many short rounds and the least of them tell more than the medians of a few long ones.
package ratio

import (
	"fmt"
	"io"
	"slices"
	"syscall"
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

// spent is the processor time of this process so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Compare lets the contenders take turns for so many rounds, each of about the time given.
func Compare(rounds int, round time.Duration, contenders ...Contender) []Result {
	times := make([][]time.Duration, len(contenders))
	runs := make([]int, len(contenders))
	for i, c := range contenders {
		c.Run() // buffers grow once
		start := spent()
		for runs[i] = 0; spent()-start < round; runs[i]++ {
			c.Run()
		}
	}
	for range rounds {
		for i, c := range contenders {
			start := spent()
			for range runs[i] {
				c.Run()
			}
			times[i] = append(times[i], (spent()-start)/time.Duration(runs[i]))
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
