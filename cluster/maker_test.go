package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/stretchr/testify/require"
)

// link is what the maker of a link says: one field, and whether it is a credential.
type link struct {
	value  string
	secret bool
}

func (l link) Apply(h http.Header, _ *url.URL) { h["X-Token"] = []string{l.value} }

func (l link) Credentials(*url.URL) []string {
	if l.secret {
		return []string{"X-Token"}
	}
	return nil
}

func (link) Inherited(u *url.URL) *url.URL { return u }

func (l link) Received(*url.URL, http.Header) {}

// Another node cannot tell the credentials of links apart: answers to them stay on their node, which shares them among the
// viewers of the link.
func TestNodesShareNothingOfALinksCredentials(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		fmt.Fprint(w, r.Header.Get("X-Token"))
	})
	nodes := start(t, 3, static, nil)
	ask := func(l link) {
		for range 2 {
			for _, n := range nodes {
				r := request(t, o.URL+"/a.ts")
				r = r.WithContext(maker.NewContext(context.WithoutCancel(r.Context()), l))
				l.Apply(r.Header, r.URL)
				_, body, err := do(n, r)
				require.NoError(t, err)
				require.Equal(t, l.value, string(body))
			}
		}
	}
	ask(link{"a", true})
	ask(link{"b", true})
	require.Equal(t, 6, o.total(), "each node once for each link")
	for _, n := range nodes {
		s := n.Stats()
		require.Zero(t, s.FromNodes+s.ToNodes)
	}
	ask(link{"c", false})
	require.Equal(t, 7, o.total(), "without credentials all nodes share")

	count, missed, err := nodes[0].Purge(t.Context(), o.URL+"/a.ts")
	require.NoError(t, err)
	require.Empty(t, missed)
	require.GreaterOrEqual(t, count, 9, "for both links and for none, on each node")
	ask(link{"a", true})
	require.Equal(t, 10, o.total())
}
