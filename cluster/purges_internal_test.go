package cluster

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLastPurgeOfAKeyIsThatWhichWasMadeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps purges
		early := newPurge("http://o/", true)
		time.Sleep(time.Minute)
		late := newPurge("http://o/a.ts", false)
		time.Sleep(time.Minute)
		ps.begin(late)
		heard, ok := purgeIn(early.String()) // from another node, only now
		require.True(t, ok)
		require.Equal(t, early.at, heard.at)
		ps.begin(heard)
		last, ok := ps.of("http://o/a.ts")
		require.True(t, ok)
		require.Equal(t, late.id, last.id, "a node may know the one, but not the other")
		last, ok = ps.of("http://o/b.ts")
		require.True(t, ok)
		require.Equal(t, early.id, last.id)
		time.Sleep(purgeFor - time.Minute)
		_, ok = ps.of("http://o/b.ts")
		require.True(t, ok, "nobody has asked for more")
		some, _ := ps.pending()
		require.True(t, some)
		time.Sleep(2 * time.Minute)
		some, _ = ps.pending()
		require.False(t, some)
	})
}

func TestALaterPurgeMakesEarlierOnesSuperfluous(t *testing.T) {
	for name, c := range map[string]struct{ made, left []string }{
		"the same key":          {[]string{"a", "b", "a"}, []string{"b", "a"}},
		"a prefix of it":        {[]string{"ab", "b", "a*"}, []string{"b", "a*"}},
		"a longer prefix":       {[]string{"a*", "ab*"}, []string{"a*", "ab*"}},
		"the same prefix":       {[]string{"a*", "b", "a*"}, []string{"b", "a*"}},
		"a key under a prefix":  {[]string{"a*", "ab"}, []string{"a*", "ab"}},
		"a key like the prefix": {[]string{"a*", "a"}, []string{"a*", "a"}},
		"everything":            {[]string{"a*", "b", "*"}, []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			var made []purge
			for i, text := range c.made {
				text, prefix := strings.CutSuffix(text, "*")
				one := newPurge(text, prefix)
				one.at = one.at.Add(time.Duration(i-len(c.made)) * time.Second)
				made = append(made, one)
			}
			var inOrder, turned purges
			for i := range made {
				inOrder.begin(made[i])
				turned.begin(made[len(made)-1-i])
			}
			for _, ps := range []*purges{&inOrder, &turned} {
				var left []string
				for _, k := range ps.list {
					if k.prefix {
						k.text += "*"
					}
					left = append(left, k.text)
				}
				require.Equal(t, c.left, left)
			}
		})
	}
}

// A node may know one purge of many, and not another. So what stands for all of them is none of them.
func TestManyPurgesBecomeOneThatNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps purges
		ids := map[string]bool{}
		const made = mostPurges + 1000
		for i := range made {
			p := newPurge(fmt.Sprintf("http://o/%d.ts", i), false)
			ids[p.id] = true
			ps.begin(p)
			ps.end(p.id)
			require.LessOrEqual(t, len(ps.list), mostPurges)
			time.Sleep(time.Millisecond)
		}
		for i := 0; i < made; i += 100 {
			p, ok := ps.of(fmt.Sprintf("http://o/%d.ts", i))
			require.True(t, ok)
			require.Equal(t, p.prefix, !ids[p.id], "either the purge itself, or one of everything with an ID of its own")
			require.True(t, ps.knows(p.id), "it is not carried out here when another node names it")
		}
		one, _ := ps.of("http://o/1.ts")
		require.Empty(t, one.text)
	})
}

// What nodes know is logged again, but not for ever, however different it is, and in few entries: many would drive others out
// of the log.
func TestPurgesAreLoggedAgainButNotForEver(t *testing.T) {
	for name, c := range map[string]struct {
		each, nodes int
		same        bool // all know the same
	}{
		"few":                      {10, 3, false},
		"as many as fit":           {logLength / 2, 2, false},
		"too many":                 {logLength, 2, false},
		"far too many":             {2 * logLength, 3, false},
		"as many as fit, the same": {logLength / 2, 2, true},
		"far too many, the same":   {2 * logLength, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log []logged
			next := 0
			nodes, known := make([]purges, c.nodes), map[string]bool{}
			for i := range nodes {
				for j := range c.each {
					p := newPurge(fmt.Sprintf("http://o/%d/%d.ts", i, j), false)
					known[p.id] = true
					for k := range nodes {
						if k == i || c.same {
							nodes[k].begin(p)
							nodes[k].end(p.id)
						}
					}
				}
				if c.same {
					break
				}
			}
			written := 0
			for range 20 {
				for i := range nodes {
					for _, e := range nodes[i].lost(log) {
						next++
						written++
						e.pos = position(fmt.Sprintf("1-%d %s", next, e.id))
						log = append(log, e)
					}
					log = log[max(0, len(log)-logLength):]
				}
				for i := range nodes { // each reads what all have written meanwhile
					nodes[i].saw(log)
				}
			}
			if c.same {
				require.LessOrEqual(t, written, mostAgain+1)
			} else {
				require.LessOrEqual(t, written, c.nodes*(mostAgain+1))
			}
			for _, e := range log {
				for _, id := range e.ids() {
					delete(known, id)
				}
			}
			require.Empty(t, known, "the log says all of them")
			var away purges
			for _, e := range log {
				require.False(t, away.knowsAllOf(e))
			}
			for i := range nodes {
				require.Empty(t, nodes[i].lost(log))
			}
		})
	}
}
