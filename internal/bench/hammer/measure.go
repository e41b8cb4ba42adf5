package hammer

import (
	"fmt"
	"time"
)

// Measure lets the servers take turns: one measurement of each, then the next round.
func (l Load) Measure(servers []Server, rounds, conns int, span time.Duration) ([]Figures, error) {
	all := make([]Figures, len(servers))
	for round := -1; round < rounds; round++ { // round -1 warms the caches up
		for i, s := range servers {
			all[i].name = s.Name
			rate, cost, err := l.turn(s, conns, span)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", s.Name, l.Name, err)
			}
			if round >= 0 {
				all[i].rates, all[i].costs = append(all[i].rates, rate), append(all[i].costs, cost)
			}
		}
	}
	return all, nil
}

// turn is one measurement: answers per second, and microseconds of the server's CPU per answer.
func (l Load) turn(s Server, conns int, span time.Duration) (rate, cost float64, err error) {
	before, err := cpu(s.pid)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	answers, err := l.ask(s.Addr, conns, span)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	after, err := cpu(s.pid)
	return float64(answers) / took.Seconds(), float64((after - before).Microseconds()) / float64(answers), err
}
