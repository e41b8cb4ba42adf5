package uploads

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
)

// jobs are the films in progress and the last ones that have ended, in the order of their uploads. They are converted one at a
// time.
type jobs struct {
	mu      sync.Mutex
	list    []*Job
	lastID  int
	lastIn  int           // the number of the last job that began to wait
	changed chan struct{} // closed, and replaced, when any job has changed
}

const (
	mostOnTheirWay = 4 // each takes disk space
	mostEnded      = 5 // still shown
)

// State is the progress of a film.
type State string

// The states in their order. A film ends as done or failed; a cancelled one has failed.
const (
	Arriving   State = "arriving"
	Waiting    State = "waiting"
	Converting State = "converting"
	Storing    State = "storing"
	Done       State = "done"
	Failed     State = "failed"
)

// Ended reports whether the film has reached its final state.
func (s State) Ended() bool { return s == Done || s == Failed }

// Job is a film as the page shows it.
type Job struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	State   State  `json:"state"`
	Percent int    `json:"percent"`           // of the current state; it never falls within that. 0: unknown
	Ahead   int    `json:"ahead,omitempty"`   // films to be converted before this one
	Message string `json:"message,omitempty"` // why it failed
	Link    string `json:"link,omitempty"`    // where it plays
	Seconds int    `json:"seconds,omitempty"` // its length, after the conversion
	Bytes   int64  `json:"bytes,omitempty"`   // its size
	Picture bool   `json:"picture,omitempty"` // it has a picture

	jpeg   []byte
	client string
	gone   bool // it has lost its place, and will end soon
	inLine int  // when it began to wait
	cancel context.CancelCauseFunc
}

// holds reports whether a job has one of the places.
func (j *Job) holds() bool { return !j.State.Ended() && !j.gone }

func newJobs() *jobs { return &jobs{changed: make(chan struct{})} }

// add begins a job; cancel ends it. A client may have all places as long as nobody else needs one: a client without a place
// gets the last place that another took beyond its first.
func (q *jobs) add(client string, cancel context.CancelCauseFunc) (*Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count((*Job).holds) >= mostOnTheirWay {
		j := q.spare(client)
		if j == nil {
			return nil, errBusy
		}
		j.gone = true
		j.cancel(errGaveWay)
	}
	q.lastID++
	j := &Job{ID: q.lastID, State: Arriving, client: client, cancel: cancel}
	q.list = append(q.list, j)
	q.tell()
	return j, nil
}

// spare finds a job that gives way to a client without one. The caller holds the lock.
func (q *jobs) spare(client string) *Job {
	held := map[string]int{}
	for _, j := range q.list {
		if j.holds() {
			held[j.client]++
		}
	}
	if held[client] > 0 {
		return nil
	}
	for _, j := range slices.Backward(q.list) {
		if j.holds() && held[j.client] > 1 && (j.State == Arriving || j.State == Waiting) {
			return j
		}
	}
	return nil
}

func (q *jobs) count(which func(*Job) bool) (n int) {
	for _, j := range q.list {
		if which(j) {
			n++
		}
	}
	return n
}

// tell wakes everybody who waits for a change. The caller holds the lock.
func (q *jobs) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *jobs) name(j *Job, title string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.Title = title
	q.tell()
}

// progress sets the progress of a job within its state.
func (q *jobs) progress(j *Job, percent int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if percent = min(percent, 100); percent > j.Percent {
		j.Percent = percent
		q.tell()
	}
}

// describe records the result for a film.
func (q *jobs) describe(j *Job, made ladder.Made) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.Seconds, j.Bytes, j.Picture, j.jpeg = int(made.Length.Round(time.Second).Seconds()), made.Bytes, made.Picture != nil, made.Picture
	q.tell()
}

// picture is the picture of a film; nil: there is none.
func (q *jobs) picture(id int) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.list {
		if j.ID == id {
			return j.jpeg
		}
	}
	return nil
}

// wait returns when it is j's turn, which lasts until j is stored or ends. It returns the cause if ctx ends.
func (q *jobs) wait(ctx context.Context, j *Job) error {
	q.mu.Lock()
	q.lastIn++
	j.State, j.Percent, j.inLine = Waiting, 0, q.lastIn
	q.tell()
	for q.ahead(j) > 0 && ctx.Err() == nil {
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		q.mu.Lock()
	}
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	j.State = Converting
	q.tell()
	return nil
}

func (q *jobs) ahead(j *Job) int {
	return q.count(func(o *Job) bool { return o.State == Converting || o.State == Waiting && o.inLine < j.inLine })
}

// store marks a job as being stored. The next one can then be converted.
func (q *jobs) store(j *Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.State, j.Percent = Storing, 0
	q.tell()
}

// end records the result of a job: a link, or the reason why there is none.
func (q *jobs) end(j *Job, link, message string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.State, j.Link, j.Message = Done, link, message; message != "" {
		j.State = Failed
	} else {
		j.Percent = 100
	}
	over := q.count(func(o *Job) bool { return o.State.Ended() }) - mostEnded
	q.list = slices.DeleteFunc(q.list, func(o *Job) bool {
		drop := over > 0 && o.State.Ended()
		if drop {
			over--
		}
		return drop
	})
	q.tell()
}

// stop cancels a job. It reports whether the job exists.
func (q *jobs) stop(id int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.list, func(j *Job) bool { return j.ID == id && !j.State.Ended() })
	if i >= 0 {
		q.list[i].cancel(errCancelled)
	}
	return i >= 0
}

// now returns the current jobs, and a channel that is closed at the next change.
func (q *jobs) now() ([]Job, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Job, 0, len(q.list))
	for _, j := range q.list {
		shown := *j
		if j.State == Waiting {
			shown.Ahead = q.ahead(j)
		}
		all = append(all, shown)
	}
	return all, q.changed
}
