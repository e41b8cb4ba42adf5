package evict

// reason is why an item stays, or could have stayed: that many numbers before it were asked for in order, or wasAsked.
type reason uint8

const (
	nothing  reason = 0
	wasAsked reason = inARow + 1
)

// odds tell how often items were asked for again, by the reason for which they stayed or could have stayed. They are learned,
// because one number before an item means much where viewers watch films, and nothing where they pick clips.
type odds [wasAsked + 1]float64

// memory is about how many items the odds of a reason are learned from.
const memory = 256

func newOdds() odds { return odds{wasAsked: 0.5} }

// worth reports whether an item is to stay for a viewer that asked for so many numbers before it. inARow always suffice. Fewer
// do as soon as such items come again at least two thirds as often as those that had been asked for.
func (o *odds) worth(run reason) bool {
	return run >= inARow || run > nothing && 3*o[run] >= 2*o[wasAsked]
}

func (o *odds) learn(why reason, again bool) {
	was := 0.0
	if again {
		was = 1
	}
	o[why] += (was - o[why]) / memory
}
