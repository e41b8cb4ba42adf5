package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

func TestRendezvousSharesKeysOut(t *testing.T) {
	members := []string{"http://a:1", "http://b:1", "http://c:1", "http://d:1"}
	count, moved := map[string]int{}, 0
	for i := range 4000 {
		key := fmt.Sprint("http://o.example/", i)
		all, err := cluster.Rendezvous(cluster.Static(members...)).Holder(t.Context(), key, members[0])
		require.NoError(t, err)
		count[all]++
		fewer, err := cluster.Rendezvous(cluster.Static(members[:3]...)).Holder(t.Context(), key, members[0])
		require.NoError(t, err)
		if all != members[3] {
			require.Equal(t, all, fewer, "a member that goes moves its own keys only")
		} else {
			moved++
		}
	}
	for _, m := range members {
		require.InDelta(t, 1000, count[m], 150)
	}
	require.Equal(t, count[members[3]], moved)
}

func TestRendezvousTakesAnotherForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cluster.Rendezvous(cluster.Static("http://a:1", "http://b:1", "http://c:1"))
		first, err := d.Holder(t.Context(), "key", "http://c:1")
		require.NoError(t, err)
		second, err := d.Take(t.Context(), "key", first, "http://x:1")
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		third, err := d.Take(t.Context(), "key", second, "http://x:1")
		require.NoError(t, err)
		require.NotContains(t, []string{first, second}, third)
		last, err := d.Take(t.Context(), "key", third, "http://x:1")
		require.NoError(t, err)
		require.Equal(t, "http://x:1", last, "only the asking node is left")
		time.Sleep(3 * time.Second)
		again, err := d.Holder(t.Context(), "key", "http://c:1")
		require.NoError(t, err)
		require.Equal(t, first, again)
	})
}

func TestTheLastListOfMembersGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type answer struct {
			list []string
			err  error
			slow time.Duration
		}
		var now atomic.Pointer[answer]
		now.Store(&answer{list: []string{"http://a:1"}})
		var asked atomic.Int64
		d := cluster.Rendezvous(func(context.Context) ([]string, error) {
			asked.Add(1)
			a := now.Load()
			time.Sleep(a.slow)
			return a.list, a.err
		})
		holder := func() string {
			h, err := d.Holder(t.Context(), "key", "http://self:1")
			require.NoError(t, err)
			return h
		}
		for range 10 {
			require.Equal(t, "http://a:1", holder())
		}
		require.EqualValues(t, 1, asked.Load())
		now.Store(&answer{list: []string{"http://b:1"}, slow: time.Second})
		time.Sleep(6 * time.Second)
		begun := time.Now()
		require.Equal(t, "http://a:1", holder())
		require.Zero(t, time.Since(begun), "nobody waits for a name server")
		time.Sleep(2 * time.Second)
		require.Equal(t, "http://b:1", holder())
		for _, failure := range []error{errors.New("no such host"), nil} {
			now.Store(&answer{err: failure, slow: time.Second})
			time.Sleep(10 * time.Second)
			holder()
			time.Sleep(10 * time.Second)
			require.Equal(t, "http://b:1", holder())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
	})
}

func TestNobodyIsAMember(t *testing.T) {
	_, err := cluster.Rendezvous(cluster.Static()).Holder(t.Context(), "key", "http://self:1")
	require.Error(t, err)
	_, err = cluster.DNS("http://no.such.host.invalid:1", nil)(t.Context())
	require.Error(t, err)
}
