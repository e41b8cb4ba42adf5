package evict_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/stretchr/testify/require"
)

// cache is the least that a Policy needs around it.
type cache struct {
	*evict.Policy[bool] // the value: it is busy
	max, weight         int64
}

func newCache(most int64) *cache {
	return &cache{Policy: evict.New(most, func(busy *bool) bool { return *busy }), max: most}
}

// ask reports whether key is there, and inserts it if it is not.
func (c *cache) ask(key string) bool {
	if c.Get(key) != nil {
		return true
	}
	c.put(key, 1, false)
	return false
}

func (c *cache) put(key string, weight int64, busy bool) {
	if old := c.Insert(&evict.Item[bool]{Key: key, Value: busy, Weight: weight}); old != nil {
		c.weight -= old.Weight
	}
	for c.weight += weight; c.weight > c.max; {
		it := c.Victim()
		if it == nil {
			return
		}
		c.Remove(it)
		c.weight -= it.Weight
	}
}

func TestWhatIsAskedForOftenOutlivesAScan(t *testing.T) {
	c := newCache(100)
	hits := 0
	for i := range 20_000 {
		c.ask(fmt.Sprint("scan", i))
		if key := fmt.Sprint("often", i%40); i%4 == 0 && c.ask(key) {
			hits++
		}
	}
	require.Greater(t, hits, 4_900)
}

// A key that left the small queue and comes back is worth more than an unknown one.
func TestAGhostGoesToTheMainQueue(t *testing.T) {
	c := newCache(100)
	c.ask("twice")
	for i := range 150 {
		c.ask(fmt.Sprint("first", i))
	}
	require.False(t, c.ask("twice"))
	for i := range 300 {
		c.ask(fmt.Sprint("second", i))
	}
	require.NotNil(t, c.Peek("twice"))
}

func TestWhatAPlaylistNamesStays(t *testing.T) {
	c := newCache(100)
	name := evict.Hash("named")
	c.Name(name, 1, false) // before the item exists
	c.ask("named")
	for i := range 1000 {
		c.ask(fmt.Sprint(i))
	}
	require.NotNil(t, c.Peek("named"))
	c.Name(name, 1, false) // by two playlists
	c.Name(name, -1, true)
	require.NotEqual(t, "named", c.Victim().Key)
	c.Name(name, -1, true)
	require.Equal(t, "named", c.Victim().Key, "it goes first when nobody names it")
}

func TestWhatAViewerApproachesStays(t *testing.T) {
	watch := func(step int) (found int) {
		c := newCache(100)
		for i := range 60 {
			c.ask(fmt.Sprintf("http://o/film/%d.ts", i))
		}
		for i := range 60 {
			if c.ask(fmt.Sprintf("http://o/film/%d.ts", i*step%60)) {
				found++
			}
			for j := range 10 {
				c.ask(fmt.Sprint("scan", i, ".", j))
			}
		}
		return found
	}
	require.Greater(t, watch(1), 2*watch(17), "in their order, and in another")
}

// One number before an item keeps it only where that has proved right, and only as long as it does.
func TestItIsLearnedWhatOneNumberMeans(t *testing.T) {
	c := newCache(100)
	film := 0
	stayed := func(films int, watched bool) (n int) {
		for range films {
			film++
			second := fmt.Sprintf("film%d/2.ts", film)
			c.ask(second)
			c.ask(fmt.Sprintf("film%d/1.ts", film))
			for i := range 100 {
				c.ask(fmt.Sprintf("popular%c", 'a'+i%10))
				c.ask(fmt.Sprintf("scan%d.%d", film, i))
			}
			if c.Peek(second) != nil {
				n++
			}
			if watched {
				c.ask(second)
			}
		}
		return n
	}
	require.Zero(t, stayed(100, false), "at first")
	stayed(600, true)
	require.Greater(t, stayed(100, true), 90, "viewers come")
	stayed(600, false)
	require.Less(t, stayed(100, false), 10, "viewers no longer come")
}

// What a viewer has watched may be gone by the time an item ahead of it is considered.
func TestAViewerIsKnownByWhatHasLeft(t *testing.T) {
	c := newCache(100)
	ahead := "film/20.ts"
	c.ask(ahead)
	c.ask(ahead)
	for i := range 4 {
		c.ask(fmt.Sprintf("film/%d.ts", 15+i))
	}
	for i := range 150 {
		c.ask(fmt.Sprint("scan", i))
	}
	require.Nil(t, c.Peek("film/18.ts"))
	c.ask("film/19.ts")
	require.NotNil(t, c.Peek(ahead))
}

func TestWhatIsBusyIsNoVictim(t *testing.T) {
	c := newCache(10)
	for i := range 10 {
		c.put(fmt.Sprint(i), 1, true)
	}
	require.Nil(t, c.Victim())
	c.put("idle", 1, false)
	require.Equal(t, 10, c.Len(), "it went, since it alone could")
	require.Nil(t, c.Peek("idle"))
}

// The small queue is spared while it is short, but not if nothing else can go.
func TestAnIdleNewItemIsAVictimIfAllOthersAreBusy(t *testing.T) {
	c := newCache(100)
	for i := range 100 {
		c.put(fmt.Sprint(i), 1, true)
	}
	require.Nil(t, c.Victim(), "they are in the main queue now")
	c.Insert(&evict.Item[bool]{Key: "new", Weight: 1})
	require.Equal(t, "new", c.Victim().Key)
}

// Many goroutines may call Find at a time. Now and then one that is alone tells the Policy which item of a live playlist was
// used last.
func TestManyMayFindAtATime(t *testing.T) {
	c := newCache(4)
	for _, key := range []string{"a", "b", "c", "d"} {
		c.Name(evict.Hash(key), 1, false)
		c.put(key, 1, false)
	}
	require.Equal(t, "a", c.Victim().Key, "it came first")
	var mu sync.RWMutex
	var viewers sync.WaitGroup
	for range 8 {
		viewers.Go(func() {
			for range 100 {
				mu.RLock()
				it, late := c.Find([]byte("a"))
				mu.RUnlock()
				if late {
					mu.Lock()
					c.Renew(it)
					mu.Unlock()
				}
			}
		})
	}
	viewers.Wait()
	require.Equal(t, "b", c.Victim().Key, "the other was asked for since")
	late := 0
	for range 100 {
		it, isLate := c.Find([]byte("b"))
		if isLate {
			c.Renew(it)
			late++
		}
	}
	require.Equal(t, 100/5, late, "once in more requests than there are items of its kind")
	gone := c.Peek("c")
	c.Remove(gone)
	c.Renew(gone)
	require.Nil(t, c.Peek("c"), "what was dropped meanwhile stays away")
}

// After any sequence of calls, each item that was not removed is there, and there is a victim as long as one idle item is left.
func FuzzPolicy(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		idle := 1 + rng.IntN(4) // of four values
		busy := func(v *int) bool { return *v%4 >= idle }
		p := evict.New(50, busy)
		want := map[string]int{}
		for i := range 2000 {
			key := fmt.Sprintf("/%d.ts", rng.IntN(100))
			switch rng.IntN(6) {
			case 0, 1:
				old := p.Insert(&evict.Item[int]{Key: key, Value: i, Weight: 1 + rng.Int64N(3)})
				_, had := want[key]
				require.Equal(t, had, old != nil)
				want[key] = i
			case 2:
				if it := p.Victim(); it != nil {
					require.Equal(t, want[it.Key], it.Value)
					require.False(t, busy(&it.Value))
					p.Remove(it)
					delete(want, it.Key)
				} else {
					for key, value := range want {
						require.True(t, busy(&value), key)
					}
				}
			case 3:
				p.Name(evict.Hash(key), int32(1-2*rng.IntN(2)), rng.IntN(2) == 0)
			default:
				it, late := p.Find([]byte(key))
				if late {
					p.Renew(it)
				}
				value, had := want[key]
				require.Equal(t, had, it != nil)
				require.True(t, !had || it.Value == value)
			}
			require.Equal(t, len(want), p.Len())
		}
		n := 0
		for range p.All() {
			n++
		}
		require.Equal(t, len(want), n)
	})
}
