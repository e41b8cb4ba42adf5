package origin

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Nobody waits for a known server, whatever happens meanwhile.
func TestAKnownServerMakesNobodyWait(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for name, meanwhile := range map[string]func(f *firsts, ask func(ctx context.Context, host string)){
		"nothing":              func(*firsts, func(context.Context, string)) {},
		"a dial that failed":   func(f *firsts, _ func(context.Context, string)) { f.settle("a:443", false) },
		"a viewer who is gone": func(_ *firsts, ask func(context.Context, string)) { ask(gone, "a") },
		"many other servers": func(f *firsts, ask func(context.Context, string)) {
			for i := range 3 * maxPeers {
				ask(context.Background(), fmt.Sprint("b", i))
				f.settle(fmt.Sprint("b", i, ":443"), true)
				if i%maxPeers == 0 {
					ask(context.Background(), "a")
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f firsts
				ask := func(ctx context.Context, host string) { _ = f.wait(ctx, &url.URL{Scheme: "https", Host: host}) }
				ask(t.Context(), "a")
				f.settle("a:443", true)
				began := time.Now()
				meanwhile(&f, ask)
				for range 3 {
					ask(t.Context(), "a")
				}
				require.Zero(t, time.Since(began))
			})
		})
	}
}

// A request that has ended before it begins dials nothing, so it must not go first.
func TestARequestThatIsGoneDoesNotGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firsts
		a := &url.URL{Scheme: "https", Host: "a"}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, f.wait(ctx, a), context.Canceled)
		began := time.Now()
		require.NoError(t, f.wait(t.Context(), a))
		require.Zero(t, time.Since(began))
	})
}
