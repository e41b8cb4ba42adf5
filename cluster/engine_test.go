package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
	"github.com/valkey-io/valkey-go"
)

// engine is a redis-server of its own or, if there is none, an imitation.
type engine struct {
	addr string
	cmd  *exec.Cmd
	mini *miniredis.Miniredis
	dir  string
	args []string
}

func newEngine(t testing.TB, args ...string) *engine {
	t.Helper()
	e := &engine{dir: t.TempDir(), args: args}
	if _, err := exec.LookPath("redis-server"); err != nil {
		e.mini = miniredis.RunT(t)
		e.addr = e.mini.Addr()
		return e
	}
	addr, err := freeport.Addr()
	require.NoError(t, err)
	e.addr = addr
	e.run(t)
	t.Cleanup(func() { e.kill() })
	return e
}

// real skips a test that must stop or kill the engine.
func (e *engine) real(t *testing.T) {
	if e.mini != nil {
		t.Skip("there is no redis-server")
	}
}

func (e *engine) run(t testing.TB) {
	_, port, err := net.SplitHostPort(e.addr)
	require.NoError(t, err)
	e.cmd = exec.Command("redis-server", append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", e.dir,
	}, e.args...)...)
	require.NoError(t, e.cmd.Start())
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", e.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
}

func (e *engine) kill() {
	if e.cmd.Process != nil {
		_ = e.cmd.Process.Signal(syscall.SIGCONT)
		_ = e.cmd.Process.Kill()
		_ = e.cmd.Wait()
	}
}

// stop returns when the engine has stopped.
func (e *engine) stop() {
	if err := e.cmd.Process.Signal(syscall.SIGSTOP); err == nil {
		_, _ = syscall.Wait4(e.cmd.Process.Pid, nil, syscall.WUNTRACED, nil)
	}
}

func (e *engine) goOn() { _ = e.cmd.Process.Signal(syscall.SIGCONT) }
func (e *engine) option() valkey.ClientOption {
	return valkey.ClientOption{InitAddress: []string{e.addr}, PipelineMultiplex: 1, DisableCache: e.mini != nil, AlwaysRESP2: e.mini != nil}
}

// do sends a command.
func (e *engine) do(t *testing.T, command ...string) valkey.ValkeyResult {
	t.Helper()
	var c valkey.Client
	waitFor(t, func() (ok bool) { // it may still be paused
		var err error
		c, err = valkey.NewClient(e.option())
		return err == nil
	}, "the engine is not there")
	defer c.Close()
	return c.Do(context.Background(), c.B().Arbitrary(command...).Build())
}

func (e *engine) directory(int, []string) cluster.Directory {
	return cluster.Connect(e.option(), "test")
}

// heard reports whether the engine answered all questions in time. On an overloaded machine it may not.
func heard(t *testing.T, nodes []*node) bool {
	for _, n := range nodes {
		if n.Stats().Unheard > 0 {
			t.Log("this machine is overloaded")
			return false
		}
	}
	return true
}

func TestTheEngineSaysWhoHoldsAKey(t *testing.T) {
	e := newEngine(t)
	body := noise(100<<10, 30)
	o := origin(t, file(body, `"1"`))
	nodes := start(t, 4, e.directory, nil)
	var wg sync.WaitGroup
	for i := range 30 {
		for _, n := range nodes {
			wg.Go(func() {
				_, got := fetch(t, n, fmt.Sprintf("%s/%d.ts?token=secret", o.URL, i))
				require.Equal(t, body, got)
			})
		}
	}
	wg.Wait()
	if heard(t, nodes) {
		require.Equal(t, 30, o.total())
	}
	keys, err := e.do(t, "KEYS", "*").AsStrSlice()
	require.NoError(t, err)
	if !heard(t, nodes) {
		return
	}
	require.Contains(t, []int{32, 33}, len(keys), "one for each object, the nodes, and how far they have read the log")
	for _, key := range keys {
		require.NotContains(t, key, "secret")
	}
	// It carries no bodies.
	for _, key := range keys {
		if value, err := e.do(t, "GET", key).ToString(); err == nil {
			require.Less(t, len(value), 200)
		}
	}
}

func TestANodeWithACopyReplacesADeadHolder(t *testing.T) {
	e := newEngine(t)
	o := origin(t, file(noise(1000, 31), `"1"`))
	nodes := start(t, 4, e.directory, nil)
	fetch(t, nodes[0], o.URL+"/a.ts")
	fetch(t, nodes[1], o.URL+"/a.ts")
	nodes[0].kill()
	fetch(t, nodes[2], o.URL+"/a.ts")
	if !heard(t, nodes) {
		return
	}
	require.Equal(t, 1, o.total(), "the second node has it, and is asked")
	// A node that has left is not asked either.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.NoError(t, nodes[1].Leave(ctx))
	fetch(t, nodes[3], o.URL+"/a.ts")
	require.True(t, o.total() == 1 || !heard(t, nodes[2:]), "the third has it, too")
}

func TestANodeThatMissedAPurgeFindsItInTheLog(t *testing.T) {
	e := newEngine(t)
	o, version := versions(t)
	d := map[string]*cluster.ValkeyDirectory{}
	nodes := start(t, 3, func(_ int, urls []string) cluster.Directory {
		one := cluster.Connect(e.option(), "test")
		d[urls[len(d)]] = one
		return one
	}, nil)
	for _, n := range nodes {
		require.Zero(t, number(t, n, o.URL+"/a.ts"))
	}
	version.Store(1)
	nodes[2].kill() // only its listener: its viewers are still served
	_, missed, err := nodes[0].PurgePrefix(t.Context(), o.URL+"/")
	require.NoError(t, err)
	require.Equal(t, []string{nodes[2].url}, missed)
	waitFor(t, func() bool { return number(t, nodes[2], o.URL+"/a.ts") == 1 })
	require.EqualValues(t, 1, number(t, nodes[1], o.URL+"/a.ts"))
}

// What the engine loses of its log of purges is logged again, once, by nodes that know it. So a node that was away hears of it.
func TestANodeThatMissedAPurgeHearsOfItThoughItIsLost(t *testing.T) {
	const log = "{test}:purges"
	entries := func(t *testing.T, e *engine) []valkey.XRangeEntry {
		list, err := e.do(t, "XRANGE", log, "-", "+").AsXRange()
		require.NoError(t, err)
		return list
	}
	// back puts the first entry of the log in the place of all, as a replica does that has not received the others, and then
	// another one with an ID of its own, "*", or with that of the last one. All at once: otherwise a heartbeat may come
	// between.
	back := func(t *testing.T, e *engine, another string) {
		require.NoError(t, e.do(t, "EVAL", `
			local list = redis.call('XRANGE', KEYS[1], '-', '+')
			redis.call('DEL', KEYS[1])
			redis.call('XADD', KEYS[1], list[1][1], unpack(list[1][2]))
			if ARGV[1] ~= '' then
				local id = ARGV[1] == 'last' and list[#list][1] or ARGV[1]
				redis.call('XADD', KEYS[1], id, 'id', 'another', 'key', 'http://o/another')
			end
			return 1`, "1", log, another).Error())
	}
	for name, c := range map[string]struct {
		before, lose func(*testing.T, *engine) // before the purge, and after it
		real         bool
	}{
		"the end":   {lose: func(t *testing.T, e *engine) { back(t, e, "") }},
		"the whole": {lose: func(t *testing.T, e *engine) { require.NoError(t, e.do(t, "DEL", log).Error()) }},
		"all data":  {lose: func(t *testing.T, e *engine) { require.NoError(t, e.do(t, "FLUSHALL").Error()) }},
		"a piece in the middle": {lose: func(t *testing.T, e *engine) {
			require.NoError(t, e.do(t, "XDEL", log, entries(t, e)[1].ID).Error())
		}},
		"the end, and others follow":               {lose: func(t *testing.T, e *engine) { back(t, e, "*") }},
		"the end, and another entry has its place": {lose: func(t *testing.T, e *engine) { back(t, e, "last") }},
		"what an older copy of the data lacks": {
			before: func(t *testing.T, e *engine) { require.NoError(t, e.do(t, "SAVE").Error()) },
			lose:   func(t *testing.T, e *engine) { e.kill(); e.run(t) },
			real:   true,
		},
	} {
		for when, pause := range map[string]time.Duration{"at once": 0, "later": time.Second} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				e := newEngine(t)
				if c.real {
					e.real(t)
				}
				o, version := versions(t)
				way := newRelay(t, e.addr)
				nodes := start(t, 3, func(i int, _ []string) cluster.Directory {
					option := e.option()
					if i == 2 {
						option.InitAddress = []string{way.Addr()}
					}
					return cluster.Connect(option, "test")
				}, nil)
				for _, n := range nodes {
					require.Zero(t, number(t, n, o.URL+"/a.ts"))
				}
				_, _, err := nodes[0].Purge(t.Context(), "http://o/first")
				require.NoError(t, err)
				// All have read it.
				waitFor(t, func() bool {
					read, err := e.do(t, "HVALS", "{test}:read").AsStrSlice()
					require.NoError(t, err)
					first := entries(t, e)[0]
					place := first.ID + " " + first.FieldValues["id"]
					return slices.Equal(read, []string{place, place, place})
				})
				if c.before != nil {
					c.before(t, e)
				}
				version.Store(1)
				nodes[2].kill() // its viewers are still served
				way.StopAll()
				_, missed, err := nodes[0].PurgePrefix(t.Context(), o.URL+"/")
				require.NoError(t, err)
				require.Equal(t, []string{nodes[2].url}, missed)
				_, missed, err = nodes[1].Purge(t.Context(), "http://o/last")
				require.NoError(t, err)
				require.Equal(t, []string{nodes[2].url}, missed)
				time.Sleep(pause)
				c.lose(t, e)
				way.Cut()
				way.Stop(nil)
				waitFor(t, func() bool { return number(t, nodes[2], o.URL+"/a.ts") == 1 })
				texts := func() (list []string) {
					for _, one := range entries(t, e) {
						list = append(list, one.FieldValues["key"]+one.FieldValues["prefix"])
					}
					slices.Sort(list)
					return list
				}
				want := []string{"http://o/first", "http://o/last", o.URL + "/"}
				waitFor(t, func() bool {
					return len(want) == len(slices.DeleteFunc(texts(), func(text string) bool { return !slices.Contains(want, text) }))
				})
				whole := texts()
				time.Sleep(2 * time.Second)
				require.Equal(t, whole, texts(), "nothing is logged twice")
			})
		}
	}
}

// A purge that the engine did not take is logged when it is there again.
func TestAPurgeIsLoggedOnceTheEngineIsThere(t *testing.T) {
	e := newEngine(t)
	way := newRelay(t, e.addr)
	option := e.option()
	option.InitAddress = []string{way.Addr()}
	nodes := start(t, 1, func(int, []string) cluster.Directory { return cluster.Connect(option, "test") }, nil)
	way.StopAll()
	_, _, err := nodes[0].Purge(t.Context(), "http://o/a.ts")
	require.NoError(t, err)
	way.Cut()
	way.Stop(nil)
	waitFor(t, func() bool {
		log, err := e.do(t, "XRANGE", "{test}:purges", "-", "+").AsXRange()
		require.NoError(t, err)
		return len(log) == 1 && log[0].FieldValues["key"] == "http://o/a.ts"
	})
}

// The engine is so far away that a heartbeat has no time to wait for each purge.
func TestManyPurgesAreLoggedAgainOverALongWay(t *testing.T) {
	e := newEngine(t)
	var far atomic.Bool
	way, err := relay.New(e.addr, func(up bool, lines []byte) []byte {
		if up && far.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		return lines
	})
	require.NoError(t, err)
	t.Cleanup(func() { way.Close() })
	option := e.option()
	option.InitAddress = []string{way.Addr()}
	nodes := start(t, 1, func(int, []string) cluster.Directory { return cluster.Connect(option, "test") }, nil)
	const purges = 400
	for i := range purges {
		_, _, err := nodes[0].PurgePrefix(t.Context(), fmt.Sprintf("http://o/%d/", i))
		require.NoError(t, err)
	}
	far.Store(true)
	require.NoError(t, e.do(t, "FLUSHALL").Error())
	last := fmt.Sprintf("http://o/%d/", purges-1)
	waitFor(t, func() bool {
		log, err := e.do(t, "XREVRANGE", "{test}:purges", "+", "-", "COUNT", "1").AsXRange()
		require.NoError(t, err)
		return len(log) == 1 && log[0].FieldValues["prefix"] == last
	})
}

func TestWithoutTheEngineNodesStillAgree(t *testing.T) {
	e := newEngine(t)
	e.real(t)
	body := noise(50<<10, 32)
	o := origin(t, file(body, `"1"`))
	nodes := start(t, 3, e.directory, nil)
	waitFor(t, func() bool { // all nodes know each other
		_, missed, err := nodes[0].Purge(t.Context(), "x")
		return err == nil && len(missed) == 0 && nodes[2].Stats().Refused > 0
	})
	time.Sleep(700 * time.Millisecond)
	all := func(name string, from, to int) (slowest time.Duration) {
		for i := from; i < to; i++ {
			for _, n := range nodes {
				at := time.Now()
				_, got := fetch(t, n, fmt.Sprintf("%s/%s%d.ts", o.URL, name, i))
				require.Equal(t, body, got)
				slowest = max(slowest, time.Since(at))
			}
		}
		return slowest
	}
	all("before", 0, 5)
	for name, c := range map[string]struct{ begin, end func() }{
		"killed":  {e.kill, func() { e.run(t) }},
		"stopped": {e.stop, e.goOn},
		"paused":  {func() { e.do(t, "CLIENT", "PAUSE", "10000", "ALL") }, func() { time.Sleep(10 * time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			c.begin()
			all(name+"first", 0, 2) // the node that notices it waits a moment
			before := o.total()
			all(name, 0, 8)
			require.Equal(t, 8, o.total()-before, "one fetch each, by hashing")
			c.end()
			waitFor(t, func() bool {
				before := o.total()
				all(strconv.FormatInt(time.Now().UnixNano(), 10), 0, 1)
				found, err := e.do(t, "DBSIZE").AsInt64()
				return err == nil && found > 1 && o.total()-before == 1
			})
		})
	}
}

func TestAFullEngineIsOfNoHelpAndNoHarm(t *testing.T) {
	e := newEngine(t, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
	e.real(t)
	o := origin(t, file(noise(1000, 33), `"1"`))
	nodes := start(t, 3, e.directory, nil)
	for i := range 5 {
		for _, n := range nodes {
			_, got := fetch(t, n, fmt.Sprintf("%s/%d.ts", o.URL, i))
			require.Len(t, got, 1000)
		}
	}
	require.LessOrEqual(t, o.total(), 15)
}

func TestANodeStartsWithoutItsEngine(t *testing.T) {
	e := newEngine(t)
	e.real(t)
	e.kill()
	o := origin(t, file(noise(1000, 34), `"1"`))
	nodes := start(t, 2, e.directory, nil)
	for _, n := range nodes {
		resp, _ := fetch(t, n, o.URL+"/a.ts")
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	e.run(t)
	waitFor(t, func() bool {
		before := o.total()
		url := fmt.Sprintf("%s/%d.ts", o.URL, time.Now().UnixNano())
		fetch(t, nodes[0], url)
		fetch(t, nodes[1], url)
		return o.total()-before == 1
	})
}
