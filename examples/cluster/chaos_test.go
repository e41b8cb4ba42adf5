package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var chaos = flag.Duration("chaos", time.Minute, "how long TestChaos goes on")

// Nodes and the engine are killed, stopped and started again at random. A viewer may find no node, and a body may break, but no
// viewer ever gets wrong bytes, and in the end all works as before.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	t.Parallel()
	e, o := newEngine(t), newSource(t)
	nodes := startNodes(t, 4, o, e)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var (
		stop              atomic.Bool
		good, none, wrong atomic.Int64
		load              sync.WaitGroup
		mu                sync.RWMutex // nodes change their processes, not their addresses
	)
	for v := range 12 {
		load.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(v), 3))
			for !stop.Load() {
				size := 1000 << rng.IntN(10)
				path := fmt.Sprintf("/%d/%d/%d.ts", size, rng.IntN(300), rng.IntN(200))
				mu.RLock()
				url := nodes[rng.IntN(4)].url
				mu.RUnlock()
				s := view(url + "/live" + path)
				switch {
				case s.err != nil || s.status >= 500:
					none.Add(1)
				case s.status != 200 || !bytes.Equal(bodyOf(path, "1", size), s.body):
					wrong.Add(1)
					t.Errorf("%s: status %d, %d bytes", path, s.status, len(s.body))
				default:
					good.Add(1)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for end := time.Now().Add(*chaos); time.Now().Before(end); {
		pause := time.Duration(200+rng.IntN(2000)) * time.Millisecond
		n := nodes[rng.IntN(4)]
		switch rng.IntN(6) {
		case 0:
			n.kill()
			time.Sleep(pause)
			mu.Lock()
			n.start()
			mu.Unlock()
		case 1:
			n.leave()
			mu.Lock()
			n.start()
			mu.Unlock()
		case 2:
			n.signal(syscall.SIGSTOP)
			time.Sleep(pause)
			n.signal(syscall.SIGCONT)
		case 3:
			e.kill()
			time.Sleep(pause)
			e.start(t)
		case 4:
			e.signal(syscall.SIGSTOP)
			time.Sleep(pause)
			e.signal(syscall.SIGCONT)
		case 5:
			_ = e.say(fmt.Sprintf("CLIENT PAUSE %d ALL", pause.Milliseconds()))
			time.Sleep(pause)
		}
		time.Sleep(500 * time.Millisecond)
	}
	stop.Store(true)
	load.Wait()
	t.Logf("%d good, %d none, %d wrong", good.Load(), none.Load(), wrong.Load())
	require.Zero(t, wrong.Load())
	require.Greater(t, good.Load(), none.Load(), "only who asks a node that is not there gets nothing")
	time.Sleep(3 * time.Second)
	require.Eventually(t, func() bool {
		begun := fmt.Sprint("after", time.Now().UnixNano())
		for i := range 20 {
			look(t, nodes, fmt.Sprintf("/1000/0/%s-%d.ts", begun, i), "1")
		}
		return o.most(begun) == 1
	}, 30*time.Second, time.Millisecond, "all works as before")
}
