package main

import (
	"sync"
	"time"
)

// seldom prints the failures of a crowd, at most one per pause: all viewers fail at once, and each again every second.
func seldom(pause time.Duration, print func(format string, values ...any)) func(error) {
	var mu sync.Mutex
	var next time.Time
	failed := 0
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed++
		if now := time.Now(); !now.Before(next) {
			print("simulated viewers: %d requests failed, the last with %v", failed, err)
			next, failed = now.Add(pause), 0
		}
	}
}
