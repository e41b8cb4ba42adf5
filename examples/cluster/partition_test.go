package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
)

func newRelay(t *testing.T, to string, edit func(up bool, lines []byte) []byte) *relay.Relay {
	t.Helper()
	r, err := relay.New(to, edit)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// world is four processes, with a relay between any two nodes, and between each node and the engine and the origin. Each node
// finds in its engine other addresses of the other nodes.
type world struct {
	o        *source
	nodes    []*node
	byOthers [4][4]*relay.Relay
	engines  [4]*relay.Relay
	origin   *relay.Relay
}

func newWorld(t *testing.T) *world {
	e, w := newEngine(t), &world{o: newSource(t)}
	w.origin = newRelay(t, strings.TrimPrefix(w.o.URL, "http://"), nil)
	var at [4]string
	for i := range at {
		at[i] = freePort(t)
	}
	for i := range at {
		var told, real []string // the addresses of the others, all of one length
		for j := range at {
			if j != i {
				w.byOthers[i][j] = newRelay(t, at[j], nil)
				require.Len(t, w.byOthers[i][j].Addr(), len(at[j]), "RESP counts bytes")
				told, real = append(told, w.byOthers[i][j].Addr()), append(real, at[j])
			}
		}
		w.engines[i] = newRelay(t, e.addr, func(up bool, lines []byte) []byte {
			from, to := real, told
			if up {
				from, to = told, real
			}
			for k := range from {
				lines = bytes.ReplaceAll(lines, []byte(from[k]), []byte(to[k]))
			}
			return lines
		})
		n := &node{t: t, args: []string{
			"-addr", freePort(t), "-node", at[i], "-engine", "redis://" + w.engines[i].Addr(), "-secret", "of the test",
			"-origin", "http://" + w.origin.Addr(), "-allow", "127.0.0.0/8",
		}}
		n.start()
		t.Cleanup(n.kill)
		w.nodes = append(w.nodes, n)
	}
	require.Eventually(t, func() bool { // all know each other through the relays
		begun := fmt.Sprintf("begin-%d", time.Now().UnixNano())
		w.ask(t, begun, 8)
		return w.o.count(begun) == 8
	}, time.Minute, 100*time.Millisecond)
	return w
}

// ask requests objects from all nodes, with one viewer for each.
func (w *world) ask(t *testing.T, name string, objects int) (slowest time.Duration) {
	var mu sync.Mutex
	all(len(w.nodes), func(n int) {
		for i := range objects {
			at := time.Now()
			look(t, w.nodes[n:n+1], fmt.Sprintf("/1000/0/%s-%d.ts", name, i), "1")
			mu.Lock()
			slowest = max(slowest, time.Since(at))
			mu.Unlock()
		}
	})
	return slowest
}

func (w *world) takeovers(t *testing.T) (n int) {
	for _, one := range w.nodes {
		n += int(one.stats().Takeovers)
	}
	return n
}

// dialedBy reports whether a process has a connection from an address.
func dialedBy(from net.Addr, pid int) bool {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return false
	}
	port := fmt.Sprintf(":%04X", from.(*net.TCPAddr).Port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 10 || !strings.HasSuffix(f[1], port) {
			continue
		}
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, file := range files {
			if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, file.Name())); to == "socket:["+f[9]+"]" {
				return true
			}
		}
	}
	return false
}

// Some relays pass nothing, and break no connection. To a node, others seem to hang. No viewer fails, each node asks the origin
// once at most, and no two nodes fetch from each other by turns. When bytes pass again, all is as before.
func TestPartitionsFailNoViewer(t *testing.T) {
	if _, err := os.Stat("/proc/self/net/tcp"); err != nil {
		t.Skip("there is no /proc")
	}
	t.Parallel()
	const objects = 12
	w := newWorld(t)
	apart := func(separate func(i, j int) bool) func() {
		return func() {
			for i := range w.byOthers {
				for j, r := range w.byOthers[i] {
					if r != nil && separate(i, j) {
						r.StopAll()
					}
				}
			}
		}
	}
	for _, c := range []struct {
		name  string
		begin func()
	}{
		{"a node and the origin", func() {
			pid := w.nodes[0].cmd.Process.Pid
			w.origin.Stop(func(from net.Addr) bool { return dialedBy(from, pid) })
			look(t, w.nodes[:1], "/1000/0/of-who-cannot-ask.ts", "1") // it is the holder, and finds that it needs another
		}},
		{"two nodes", apart(func(i, j int) bool { return i+j == 1 })},
		{"two halves", apart(func(i, j int) bool { return i/2 != j/2 })},
		{"a node that hears and is not heard", apart(func(_, j int) bool { return j == 0 })},
		{"all nodes", apart(func(int, int) bool { return true })},
		{"a node and the engine", func() { w.engines[0].StopAll() }},
		{"half of the nodes and the engine", func() { w.engines[0].StopAll(); w.engines[1].StopAll() }},
		{"a node and all others, the engine too", func() {
			apart(func(i, j int) bool { return i == 0 || j == 0 })()
			w.engines[0].StopAll()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := strings.ReplaceAll(c.name, " ", "-")
			before := w.takeovers(t)
			c.begin()
			slowest := w.ask(t, id+"-1", objects)
			later := w.ask(t, id+"-2", objects)
			require.LessOrEqual(t, w.o.most(id), len(w.nodes), "each node asks once at most")
			taken := w.takeovers(t) - before
			t.Logf("slowest answer %v, later %v; %d fetches of %d objects, %d takeovers", slowest, later, w.o.count(id), 2*objects, taken)
			require.LessOrEqual(t, taken, 2*2*objects, "nobody takes by turns")

			for i := range w.byOthers {
				for _, r := range w.byOthers[i] {
					if r != nil {
						r.Stop(nil)
					}
				}
				w.engines[i].Stop(nil)
			}
			w.origin.Stop(nil)
			require.Eventually(t, func() bool {
				begun := fmt.Sprintf("after-%s-%d", id, time.Now().UnixNano())
				w.ask(t, begun, objects)
				return w.o.count(begun) == objects
			}, 2*time.Minute, 100*time.Millisecond, "one fetch for each object again")
		})
	}
}
