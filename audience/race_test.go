package audience_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/stretchr/testify/require"
)

// These tests are about things that happen while a hook of the caller is running.

func TestAKickHoldsForARequestThatIsJustComing(t *testing.T) {
	a := &audience.Audience{}
	inside := func() {}
	a.Limit = func(string) int { inside(); return 5 }
	h := a.Handler(stream)
	require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", sid("x")).Code)
	inside = func() { // a look into a data base may take long
		for s := range a.All() {
			require.True(t, a.Kick(s.ID))
		}
	}
	require.Equal(t, 403, ask(h, "192.0.2.1", "/a/v.m3u8", sid("y")).Code)
	inside = func() {}
	require.Equal(t, 403, ask(h, "192.0.2.1", "/a/v.m3u8", sid("y")).Code)
	require.Empty(t, a.Snapshot().Sessions)
}

// The places of all ended sessions are free, even if OnEnd has been called for only one.
func TestPlacesAreFreeBeforeOnEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{
			Session: byName, Limit: func(string) int { return 2 }, Key: func(*http.Request) string { return "k" },
		}
		h := a.Handler(stream)
		in := func(name string) int { return ask(h, "192.0.2.1", "/a/v.m3u8", "Name: "+name).Code }
		var got []int
		var once sync.Once
		a.OnEnd = func(audience.Session, audience.End) { once.Do(func() { got = append(got, in("3"), in("4"), in("5")) }) }
		require.Equal(t, []int{200, 200, 429}, []int{in("1"), in("2"), in("3")})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []int{200, 200, 429}, got)
		time.Sleep(time.Minute)
	})
}

func TestNoEndIsToldBeforeTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		tell := func(what string, s audience.Session) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, what+" "+s.Name)
		}
		a := &audience.Audience{
			Session: byName, Limit: func(string) int { return 1 }, Key: func(*http.Request) string { return "k" }, Replace: true,
			OnStart: func(s audience.Session) {
				time.Sleep(time.Second)
				tell("start", s)
				if s.Name == "panics" {
					panic("a hook")
				}
			},
			OnEnd: func(s audience.Session, why audience.End) { tell(why.String(), s) },
		}
		h := a.Handler(stream)
		watch := func(name string) {
			defer func() { _ = recover() }() // it is broken off
			ask(h, "192.0.2.1", "/a/v.m3u8", "Name: "+name)
		}
		go watch("1")
		time.Sleep(100 * time.Millisecond)
		go watch("panics")
		time.Sleep(100 * time.Millisecond)
		for s := range a.All() {
			require.True(t, a.Kick(s.ID))
		}
		mu.Lock()
		require.Empty(t, told)
		mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"start 1", "replaced 1", "start panics", "kicked panics"}, told)
		time.Sleep(2 * time.Minute)
	})
}

// OnStart may end the session that has just begun.
func TestOnStartMayKick(t *testing.T) {
	a := &audience.Audience{}
	var told []string
	a.OnStart = func(s audience.Session) { a.Kick(s.ID); told = append(told, "start") }
	a.OnEnd = func(_ audience.Session, why audience.End) { told = append(told, why.String()) }
	h := a.Handler(stream)
	func() {
		defer func() { require.Equal(t, http.ErrAbortHandler, recover()) }()
		ask(h, "192.0.2.1", "/a/v.m3u8")
	}()
	require.Equal(t, []string{"start", "kicked"}, told)
	require.Equal(t, 403, ask(h, "192.0.2.1", "/a/v.m3u8").Code)
}

// A request that fails does not make a key forget whose place was taken.
func TestRefusedRequestsDoNotOpenATurnstile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{Limit: func(string) int { return 1 }}
		h := a.Handler(stream)
		got := map[int]int{}
		for i := range 100 {
			got[ask(h, "192.0.2.1", "/a/v.m3u8", sid(fmt.Sprint(i))).Code]++
			ask(h, "192.0.2.1", "/a/missing.m3u8", sid(fmt.Sprint("none", i)))
		}
		require.LessOrEqual(t, got[200], 17)
		time.Sleep(2 * time.Minute)
		require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", sid("later")).Code)
		time.Sleep(2 * time.Minute) // and the timer ends, or else the bubble would not
	})
}

// deadlines records what is set, and does something meanwhile.
type deadlines struct {
	*httptest.ResponseRecorder
	during func()
	last   time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	during := d.during
	d.during = nil
	if during != nil {
		during()
	}
	d.last = at
	return nil
}

func TestNobodyGetsTimeWhileASessionIsEnded(t *testing.T) {
	a := &audience.Audience{}
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	h := a.Handler(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.WriteHeader(http.StatusOK)
		w.during = func() {
			for s := range a.All() {
				require.True(t, a.Kick(s.ID))
			}
		}
		require.NoError(t, http.NewResponseController(out).SetWriteDeadline(time.Now().Add(time.Hour)))
	}))
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a/v.m3u8", nil))
	require.True(t, w.last.Before(time.Now()))
}

// However many come at once, the bound on sessions holds.
func TestThereIsNeverMoreThanThereIsRoomFor(t *testing.T) {
	a := &audience.Audience{Sessions: 10}
	release := make(chan struct{})
	var here, done sync.WaitGroup
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		here.Done()
		<-release
	}))
	for i := range 500 {
		here.Add(1)
		done.Go(func() { ask(h, fmt.Sprintf("192.0.%d.%d", i/250, i%250), "/a/v.m3u8") })
	}
	here.Wait()
	require.Len(t, a.Snapshot().Sessions, 10)
	close(release)
	done.Wait()
	require.EqualValues(t, 490, a.Snapshot().Lost)
}
