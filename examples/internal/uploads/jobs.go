package uploads

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
)

// jobs are the films on their way and the last that came to an end, in the order of their uploads. One at a time has
// its turn to be converted.
type jobs struct {
	mu      sync.Mutex
	list    []*Job
	lastID  int
	lastIn  int           // the number of the last that came to wait
	changed chan struct{} // closed, and replaced, when any job has changed
}

const (
	mostOnTheirWay = 4 // each takes room on the disk
	mostEnded      = 5 // that are still shown
)

// State is where a film is on its way.
type State string

// The states in their order. A film ends as done or failed; one that was cancelled has failed.
const (
	Arriving   State = "arriving"
	Waiting    State = "waiting"
	Converting State = "converting"
	Storing    State = "storing"
	Done       State = "done"
	Failed     State = "failed"
)

// Ended tells whether nothing more happens to a film.
func (s State) Ended() bool { return s == Done || s == Failed }

// Job is what the page shows of a film.
type Job struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	State   State  `json:"state"`
	Percent int    `json:"percent"`           // of what it is at; never falls within that. 0 where nobody knows
	Ahead   int    `json:"ahead,omitempty"`   // films to be converted before this one
	Message string `json:"message,omitempty"` // why it failed
	Link    string `json:"link,omitempty"`    // where it plays
	Seconds int    `json:"seconds,omitempty"` // how long it is, once it is converted
	Bytes   int64  `json:"bytes,omitempty"`   // that it takes
	Picture bool   `json:"picture,omitempty"` // there is one of it

	jpeg   []byte
	client string
	gone   bool // it has lost its place, and ends soon
	inLine int  // when it began to wait
	cancel context.CancelCauseFunc
}

// holds tells whether a job has one of the places.
func (j *Job) holds() bool { return !j.State.Ended() && !j.gone }

func newJobs() *jobs { return &jobs{changed: make(chan struct{})} }

// add begins a job that cancel ends. A client may have all places as long as nobody else needs one: of the places beyond
// its first, the one that was taken last goes to a client that has none.
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

// spare finds a job that gives way to a client, if that has none. Its caller holds the lock.
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

// tell wakes all that wait for a change. Its caller holds the lock.
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

// progress tells how much of what a job is at has been done.
func (q *jobs) progress(j *Job, percent int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if percent = min(percent, 100); percent > j.Percent {
		j.Percent = percent
		q.tell()
	}
}

// describe tells what was made of a film.
func (q *jobs) describe(j *Job, made ladder.Made) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.Seconds, j.Bytes, j.Picture, j.jpeg = int(made.Length.Round(time.Second).Seconds()), made.Bytes, made.Picture != nil, made.Picture
	q.tell()
}

// picture is that of a film; nil: there is none.
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

// wait returns when it is j's turn, which lasts until j is stored or ends, or with the cause of ctx's end.
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

// store has a job be stored, while the next one is converted.
func (q *jobs) store(j *Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.State, j.Percent = Storing, 0
	q.tell()
}

// end takes what became of a job: a link, or the reason why there is none.
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

// stop cancels a job, and reports whether there is such a one.
func (q *jobs) stop(id int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.list, func(j *Job) bool { return j.ID == id && !j.State.Ended() })
	if i >= 0 {
		q.list[i].cancel(errCancelled)
	}
	return i >= 0
}

// now is how things stand, and a channel that is closed when they no longer do.
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
