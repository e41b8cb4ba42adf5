package uploads

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Watch streams the jobs as server-sent events: all of them, at once and after every change, so that a page that connects late
// or again misses nothing.
func (u *Uploads) Watch() http.Handler {
	const atMostEvery, silence = 100 * time.Millisecond, 15 * time.Second
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, rc := w.Header(), http.NewResponseController(w)
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would buffer the events
		for {
			all, changed := u.jobs.now()
			data, err := json.Marshal(all)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", data)
			if rc.Flush() != nil || !pause(u.ctx, r, nil, atMostEvery) || !pause(u.ctx, r, changed, silence) {
				return
			}
		}
	})
}

// pause waits for a change, or for at most this long. It reports whether the client is still there.
func pause(ctx context.Context, r *http.Request, happens <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-happens:
	case <-timer.C:
	case <-r.Context().Done():
		return false
	case <-ctx.Done(): // a server that shuts down waits for its answers
		return false
	}
	return true
}

// Cancel ends the job whose number is the {id} of the path.
func (u *Uploads) Cancel(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || !u.jobs.stop(id) {
		http.Error(w, "There is no such film on its way.", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Picture sends the picture of the job whose number is the {id} of the path.
func (u *Uploads) Picture(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	jpeg := u.jobs.picture(id)
	if jpeg == nil {
		http.Error(w, "There is no picture of it.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(jpeg)
}
