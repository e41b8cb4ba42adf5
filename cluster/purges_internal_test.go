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

// Nodes that know other purges, and together more than a log can hold, do not log them again for ever.
func TestPurgesAreLoggedAgainButNotForEver(t *testing.T) {
	for name, c := range map[string]struct{ each, nodes, atMost int }{
		"few":                {10, 3, 30},
		"as many as fit":     {logLength / 2, 2, logLength},
		"too many":           {logLength, 2, 2 * logLength},
		"far too many":       {2 * logLength, 3, 3 * logLength},
		"together just more": {logLength/2 + 10, 2, logLength + 20},
	} {
		t.Run(name, func(t *testing.T) {
			var log []logged
			next, written := uint64(0), 0
			nodes := make([]purges, c.nodes)
			for i := range nodes {
				for j := range c.each {
					p := newPurge(fmt.Sprintf("http://o/%d/%d.ts", i, j), false)
					nodes[i].begin(p)
					nodes[i].end(p.id)
				}
			}
			for range 20 {
				for i := range nodes {
					there := map[string]bool{}
					for _, e := range log {
						there[e.id] = true
					}
					lost := nodes[i].lost(log)
					require.LessOrEqual(t, len(lost), logLength)
					for _, p := range lost {
						require.False(t, there[p.id])
						next++
						log = append(log, logged{p, position(fmt.Sprintf("1-%d %s", next, p.id))})
						written++
					}
					log = log[max(0, len(log)-logLength):]
					nodes[i].saw(log)
				}
			}
			require.LessOrEqual(t, written, c.atMost)
			require.GreaterOrEqual(t, len(log), min(c.each*c.nodes, logLength))
			before := written
			for i := range nodes {
				written += len(nodes[i].lost(log))
			}
			require.Equal(t, before, written)
		})
	}
}
