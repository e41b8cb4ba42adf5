package main

import (
	"context"
	"slices"
	"sync"
)

// jobs are the films on their way and the last that came to an end, in the order of their uploads. One at a time has
// its turn to be converted.
type jobs struct {
	mu      sync.Mutex
	list    []*job
	lastID  int
	lastIn  int           // who came last to wait
	changed chan struct{} // closed, and replaced, when any job has changed
}

const (
	mostOnTheirWay = 4 // each takes room on the disk
	mostEnded      = 5 // that are still shown
)

type state string

const (
	arriving   state = "arriving"
	waiting    state = "waiting"
	converting state = "converting"
	done       state = "done"
	failed     state = "failed"
)

func (s state) ended() bool { return s == done || s == failed }

// job is what the page shows of a film.
type job struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	State   state  `json:"state"`
	Percent int    `json:"percent"`           // of the arrival or of the conversion; never falls within either. 0 where nobody knows
	Ahead   int    `json:"ahead,omitempty"`   // films to be converted before this one
	Message string `json:"message,omitempty"` // why it failed
	Link    string `json:"link,omitempty"`    // where it plays

	inLine int // when it began to wait
	cancel context.CancelCauseFunc
}

func newJobs() *jobs { return &jobs{changed: make(chan struct{})} }

// add begins a job that cancel ends.
func (q *jobs) add(cancel context.CancelCauseFunc) (*job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count(func(j *job) bool { return !j.State.ended() }) >= mostOnTheirWay {
		return nil, errBusy
	}
	q.lastID++
	j := &job{ID: q.lastID, State: arriving, cancel: cancel}
	q.list = append(q.list, j)
	q.tell()
	return j, nil
}

func (q *jobs) count(which func(*job) bool) (n int) {
	for _, j := range q.list {
		if which(j) {
			n++
		}
	}
	return n
}

// tell wakes all who wait for a change. Its caller holds the lock.
func (q *jobs) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *jobs) name(j *job, title string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.Title = title
	q.tell()
}

// progress tells how much of what a job is at has been done.
func (q *jobs) progress(j *job, percent int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if percent = min(percent, 100); percent > j.Percent {
		j.Percent = percent
		q.tell()
	}
}

// wait returns when it is j's turn, which lasts until j ends, or with the cause of ctx's end.
func (q *jobs) wait(ctx context.Context, j *job) error {
	q.mu.Lock()
	q.lastIn++
	j.State, j.Percent, j.inLine = waiting, 0, q.lastIn
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
	j.State = converting
	q.tell()
	return nil
}

func (q *jobs) ahead(j *job) int {
	return q.count(func(o *job) bool { return o.State == converting || o.State == waiting && o.inLine < j.inLine })
}

// end takes what became of a job: a link, or the reason why there is none.
func (q *jobs) end(j *job, link, message string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.State, j.Link, j.Message = done, link, message; message != "" {
		j.State = failed
	} else {
		j.Percent = 100
	}
	over := q.count(func(o *job) bool { return o.State.ended() }) - mostEnded
	q.list = slices.DeleteFunc(q.list, func(o *job) bool {
		drop := over > 0 && o.State.ended()
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
	i := slices.IndexFunc(q.list, func(j *job) bool { return j.ID == id && !j.State.ended() })
	if i >= 0 {
		q.list[i].cancel(errCancelled)
	}
	return i >= 0
}

// now is how things stand, and a channel that is closed when they no longer do.
func (q *jobs) now() ([]job, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]job, 0, len(q.list))
	for _, j := range q.list {
		shown := *j
		if j.State == waiting {
			shown.Ahead = q.ahead(j)
		}
		all = append(all, shown)
	}
	return all, q.changed
}
