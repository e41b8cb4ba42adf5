// Package ratio compares contenders. They take turns, so that other work of the machine affects all of them alike. It measures
// the processor time of this process, so that waiting for a processor costs nobody anything. On a busy machine, the least of
// many short rounds tells more than the median of a few long ones.
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

// Result is the cost of one run of a Contender: the median and the least of all rounds.
type Result struct {
	Name        string
	Median, Min time.Duration
}

// spent is the processor time that this process has taken so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Compare lets the contenders take turns for this many rounds, each of about the given time.
func Compare(rounds int, round time.Duration, contenders ...Contender) []Result {
	times := make([][]time.Duration, len(contenders))
	runs := make([]int, len(contenders))
	for i, c := range contenders {
		c.Run() // so that buffers have grown before
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

// Print writes each result, and its ratio to the named one, by the medians and by the least.
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
