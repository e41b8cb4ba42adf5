package origin

import (
	"net/http"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/caller"
	"golang.org/x/sync/semaphore"
)

// limits counts requests under way.
type limits struct {
	all       *semaphore.Weighted // nil: no limit
	perClient int

	mu      sync.Mutex
	clients map[string]int // only clients with requests under way
}

func (l *limits) init(all int64, perClient int) {
	if all > 0 {
		l.all = semaphore.NewWeighted(all)
	}
	if perClient > 0 {
		l.perClient, l.clients = perClient, map[string]int{}
	}
}

var errBusy = &statusError{status: http.StatusServiceUnavailable, text: "too many requests at a time", after: time.Second}

// enter admits a request of a client or refuses it at once: a queue would only hide the wait.
func (l *limits) enter(r *http.Request, name func(*http.Request) string) (client string, err error) {
	if l.perClient > 0 {
		if client, err = nameOf(r, name); err != nil { // before anything is held, because the hook may panic
			return "", err
		}
	}
	if l.all != nil && !l.all.TryAcquire(1) {
		return "", errBusy
	}
	if l.perClient > 0 && !l.enterClient(client) {
		l.releaseAll()
		return "", errBusy
	}
	return client, nil
}

func nameOf(r *http.Request, name func(*http.Request) string) (client string, err error) {
	if name == nil {
		return caller.Name(r), nil
	}
	defer caught(&err)
	return name(r), nil
}

// leave undoes an enter.
func (l *limits) leave(client string) {
	if l.perClient > 0 {
		l.leaveClient(client)
	}
	l.releaseAll()
}

func (l *limits) releaseAll() {
	if l.all != nil {
		l.all.Release(1)
	}
}

func (l *limits) enterClient(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[name] >= l.perClient {
		return false
	}
	l.clients[name]++
	return true
}

func (l *limits) leaveClient(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[name]--; l.clients[name] <= 0 {
		delete(l.clients, name)
	}
}
