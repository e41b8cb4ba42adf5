package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
)

const (
	purgeLimit = time.Second // for each node and round
	againFor   = 10 * time.Minute
	againEvery = 2 * time.Second
	mostTrying = 64 // purges that are retried at a time
)

// Purge forgets on all nodes what is stored under a key of Config.Cache.Key, as [cache.Transport.Purge] does. It returns how
// many entries were forgotten, and the nodes that did not confirm. After it has returned, no node that confirmed sends what was
// stored before, nor takes it from a node that did not. With an engine, a missed node learns of the purge when it is back;
// without one, this node retries for ten minutes. An error says that this node's store could not forget, or that the nodes are
// not known.
func (n *Node) Purge(ctx context.Context, key string) (count int, missed []string, err error) {
	return n.purge(ctx, newPurge(key, false))
}

// PurgePrefix is Purge for all keys that begin with prefix.
func (n *Node) PurgePrefix(ctx context.Context, prefix string) (count int, missed []string, err error) {
	return n.purge(ctx, newPurge(prefix, true))
}

func (n *Node) purge(ctx context.Context, p purge) (count int, missed []string, err error) {
	e, logged := n.directory.(engine)
	var unlogged error
	if logged {
		unlogged = e.log(ctx, p)
	}
	count, err = n.carryOut(ctx, p)
	members, failure := n.members(ctx)
	err = errors.Join(err, failure)
	// A node that is purged later in the round does not send old answers meanwhile: see [purges]. The second round is for nodes
	// that failed.
	for range 2 {
		var more int
		more, members = n.spread(ctx, p, members)
		count += more
		if len(members) == 0 {
			break
		}
	}
	if len(members) > 0 && (!logged || unlogged != nil) {
		n.tryAgain(p, members)
	}
	return count, members, err
}

// members are the other nodes.
func (n *Node) members(ctx context.Context) ([]string, error) {
	d, ok := n.directory.(interface {
		Members(context.Context) ([]string, error)
	})
	if !ok {
		return nil, nil
	}
	list, err := d.Members(ctx)
	return slices.DeleteFunc(slices.Clone(list), func(m string) bool { return m == n.self || checkAddress(m) != nil }), err
}

// spread tells nodes about a purge, and returns those that did not confirm.
func (n *Node) spread(ctx context.Context, p purge, nodes []string) (count int, missed []string) {
	var (
		mu   sync.Mutex
		done sync.WaitGroup
	)
	for _, node := range nodes {
		done.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, purgeLimit)
			defer cancel()
			c, err := n.sendPurge(ctx, n.peers.get(node), p)
			mu.Lock()
			defer mu.Unlock()
			count += c
			if err != nil {
				missed = append(missed, node)
			}
		})
	}
	done.Wait()
	slices.Sort(missed)
	return count, missed
}

// tryAgain retries the nodes that did not confirm, in the background.
func (n *Node) tryAgain(p purge, missed []string) {
	if n.trying.Add(1) > mostTrying {
		n.trying.Add(-1)
		return
	}
	go n.goOn(p, missed)
}

func (n *Node) goOn(p purge, missed []string) {
	ctx, cancel := context.WithTimeout(n.ctx, againFor)
	defer cancel()
	defer n.trying.Add(-1)
	tick := time.NewTicker(againEvery)
	defer tick.Stop()
	for len(missed) > 0 {
		select {
		case <-tick.C:
			_, missed = n.spread(ctx, p, missed)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) sendPurge(ctx context.Context, to *peer, p purge) (int, error) {
	target := pathPurge + "?" + p.String()
	resp, code, err := n.call(ctx, to, http.MethodPost, target, http.Header{})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got := resp.Header.Get(fieldStatus)
	if !n.keeper.IsReply(resp.Header.Get(proof.Answer), code, got) {
		return 0, errAnswer
	}
	return strconv.Atoi(got)
}

func (n *Node) servePurge(w http.ResponseWriter, r *http.Request, code string) {
	p, ok := purgeIn(r.URL.RawQuery)
	if !ok {
		http.Error(w, "no purge", http.StatusBadRequest)
		return
	}
	count, err := n.carryOut(r.Context(), p)
	if err != nil {
		http.Error(w, "not purged", http.StatusInternalServerError)
		return
	}
	said := strconv.Itoa(count)
	w.Header().Set(fieldStatus, said)
	w.Header().Set(proof.Answer, n.keeper.Reply(code, said))
}

// carryOut forgets the entries of this node.
func (n *Node) carryOut(ctx context.Context, p purge) (int, error) {
	n.purges.begin(p)
	count, err := n.forgetEntries(ctx, p)
	if err == nil {
		n.purges.end(p.id)
	}
	return count, err
}

func (n *Node) forgetEntries(ctx context.Context, p purge) (int, error) {
	// The parent comes first: otherwise the edge could take back from it what it has just forgotten.
	count := 0
	for _, t := range [...]tier{n.parent, n.edge} {
		forget := t.Purge
		if p.prefix {
			forget = t.PurgePrefix
		}
		c, err := forget(ctx, p.text)
		if err != nil {
			return count, err
		}
		count += c
	}
	return count, nil
}

type tier interface {
	Purge(context.Context, string) (int, error)
	PurgePrefix(context.Context, string) (int, error)
}

// heed carries out a purge that another node knows of, if we do not know it. Requests wait for it meanwhile.
func (n *Node) heed(ctx context.Context, field string) error {
	p, ok := purgeIn(field)
	if !ok || n.purges.knows(p.id) {
		return nil
	}
	n.heeding.Lock()
	defer n.heeding.Unlock()
	if n.purges.knows(p.id) {
		return nil
	}
	_, err := n.carryOut(context.WithoutCancel(ctx), p)
	return err
}

// mostMissed is how many purges are carried out one by one: each looks at all entries.
const mostMissed = 50

// read is called by the engine with entries of the log. all: there were others that this node has not read. It reports whether
// what this node did not know is carried out now.
func (n *Node) read(list []logged, all bool) bool {
	var todo []purge
	var ids []string // of what is carried out then
	for _, e := range list {
		if n.purges.knowsAllOf(e) {
			n.purges.end(e.id)
			continue
		}
		n.purges.begin(e.purge)
		ids = append(ids, e.ids()...)
		if !e.had {
			todo = append(todo, e.purge)
		}
	}
	n.purges.saw(list)
	if all || len(todo) > mostMissed {
		todo = []purge{{prefix: true}}
	}
	for _, p := range todo {
		if _, err := n.forgetEntries(context.Background(), p); err != nil {
			n.tell(fmt.Errorf("cluster: a purge that was missed: %w", err))
			return false
		}
	}
	for _, id := range ids {
		n.purges.end(id)
	}
	return true
}

func (n *Node) lost(log []logged) []logged { return n.purges.lost(log) }
func (n *Node) pending() (some, late bool) { return n.purges.pending() }

// forget is called by the engine when keys may have other holders.
func (n *Node) forget() { n.near.clear() }
