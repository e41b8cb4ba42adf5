package origin

import (
	"sync"
	"time"
)

// budgets are apart, so that requests for what does not exist, or for what takes long, leave the others their second
// chance.
type budgets struct{ retries, missed, hedges budget }

func (b *budgets) init(share float64) {
	b.retries.init(share)
	b.missed.init(share)
	b.hedges.init(share)
}

func (b *budgets) earn(now time.Time) {
	b.retries.earn(now)
	b.missed.earn(now)
	b.hedges.earn(now)
}

// budget keeps retries a fraction of the requests, so that origins in trouble are not finished off by them.
type budget struct {
	mu     sync.Mutex
	share  float64 // earned by each request
	tokens float64
	last   time.Time
}

const (
	freeRetries = 10   // a second
	maxRetries  = 1000 // saved up: what is under way when an origin falls silent must be able to move
)

func (b *budget) init(share float64) {
	b.share, b.tokens = share, maxRetries
	if share == 0 {
		b.share = defaultBudget
	}
}

func (b *budget) earn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() {
		b.tokens += now.Sub(b.last).Seconds() * freeRetries
	}
	b.last = now
	b.tokens = min(b.tokens+b.share, maxRetries)
}

func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
