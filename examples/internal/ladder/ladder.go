package ladder

import "fmt"

// rung is one of the sizes in which a film is offered.
type rung struct{ width, height int }

// name is that of the rung's folder.
func (r rung) name() string { return fmt.Sprintf("%dp", r.height) }

// bits are the bits per second of the picture. More pixels do not need proportionally more bits.
func (r rung) bits() int { return 200_000 + 12*r.width*r.height/5 }

const maxSide = 4096 // that all H.264 decoders accept

// ladder is up to three sizes of a picture: its own, but at most 1080 lines, and 720 and 360 if they are smaller. An upright
// picture counts by its width. All sides are even, as 4:2:0 requires.
func ladder(width, height int) []rung {
	short, long := min(width, height), max(width, height)
	if short == 0 {
		return nil
	}
	top := min(short, 1080, max(2, short*maxSide/long))
	even := func(side, size int) int { return max(2, side*size/short&^1) }
	rungs := []rung{{even(width, top), even(height, top)}}
	for _, size := range []int{720, 360} {
		if 4*size <= 3*top {
			rungs = append(rungs, rung{even(width, size), even(height, size)})
		}
	}
	return rungs
}
