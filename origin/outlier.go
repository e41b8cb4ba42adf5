package origin

import (
	"slices"
	"time"
)

// outlierFloor is by how much an outlier is slower than others at least: nobody minds milliseconds.
const outlierFloor = 500 * time.Millisecond

// checkOutlier takes out an origin that has become far slower than the others.
func (p *Pool) checkOutlier(m *member, now time.Time) {
	own, known := m.health.typical()
	if p.outlier < 0 || !known || own < outlierFloor {
		return
	}
	var others []time.Duration
	for _, o := range p.set.Load().members {
		if latency, known := o.health.typical(); known && o != m {
			others = append(others, latency)
		}
	}
	if len(others) == 0 {
		return
	}
	slices.Sort(others)
	median := others[(len(others)-1)/2]
	if own-median >= outlierFloor && float64(own) > p.outlier*float64(median) {
		m.health.trip(now, p.cooldown)
	}
}
