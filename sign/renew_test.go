package sign_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// watch plays for d: it reloads the media playlist by its one URL, and fetches the newest segment by the link in it.
func watch(t *testing.T, s *sign.Signer, playlist string, d time.Duration) (status int) {
	t.Helper()
	for range int(d / (10 * time.Second)) {
		w, inner := serve(s, request(playlist))
		if w.Code != 200 {
			return w.Code
		}
		segment := child(t, s, inner.Context(), "/live/v/1.ts")
		report := child(t, s, inner.Context(), "/live/v/index.m3u8")
		time.Sleep(6 * time.Second)
		if w, _ := serve(s, request(segment)); w.Code != 200 {
			return w.Code
		}
		require.Equal(t, playlist, report, "a playlist keeps its link, which players compare")
		time.Sleep(4 * time.Second)
	}
	return 200
}

func TestALiveViewerIsNotCutUntilTheHardEnd(t *testing.T) {
	for name, scope := range map[string]sign.Scope{"exact": sign.Exact, "directory": sign.Directory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := signer(t, func(c *sign.Config) { c.Scope, c.TTL, c.Renew = scope, 2*time.Minute, 3*time.Hour })
				master := must(s.URL("/live/master.m3u8"))
				playlist := child(t, s, admitted(t, s, master), "/live/v/index.m3u8")
				require.Equal(t, 200, watch(t, s, playlist, 2*time.Hour+50*time.Minute))
				require.Equal(t, 403, watch(t, s, playlist, time.Hour), "the hard end holds")
			})
		})
	}
}

func TestWithoutRenewalASessionEndsWithItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, func(c *sign.Config) { c.TTL = 10 * time.Minute })
		playlist := child(t, s, admitted(t, s, must(s.URL("/live/master.m3u8"))), "/live/v/index.m3u8")
		require.Equal(t, 200, watch(t, s, playlist, 9*time.Minute))
		require.Equal(t, 403, watch(t, s, playlist, 5*time.Minute))
	})
}

// A leaked link to a segment works for TTL, however long its session is still valid.
func TestRenewedMediaLinksAreShortLived(t *testing.T) {
	for name, scope := range map[string]sign.Scope{"exact": sign.Exact, "directory": sign.Directory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := signer(t, func(c *sign.Config) { c.Scope, c.TTL, c.Renew = scope, 2*time.Minute, 3*time.Hour })
				playlist := child(t, s, admitted(t, s, must(s.URL("/live/master.m3u8"))), "/live/v/index.m3u8")
				time.Sleep(time.Hour)
				ctx := admitted(t, s, playlist)
				segment := child(t, s, ctx, "/live/v/1.ts")
				again := child(t, s, admitted(t, s, playlist), "/live/v/1.ts")
				require.Equal(t, segment, again, "within a step of the grid")
				g := must(s.Verify(request(segment)))
				require.LessOrEqual(t, time.Until(g.Expires), 2*time.Minute+8*time.Second)
				require.True(t, g.Until.IsZero())
				time.Sleep(4 * time.Minute)
				_, err := s.Verify(request(segment))
				require.ErrorIs(t, err, sign.ErrExpired)
				// Its token does not open playlists for longer either.
				_, token, _ := strings.Cut(segment, "?")
				_, err = s.Verify(request("/live/v/index.m3u8?" + token))
				require.Error(t, err)

				time.Sleep(time.Until(must(s.Verify(request(playlist))).Until) - 30*time.Second)
				last := must(s.Verify(request(child(t, s, admitted(t, s, playlist), "/live/v/9.ts"))))
				require.Equal(t, must(s.Verify(request(playlist))).Until, last.Expires, "never more than the session")
			})
		})
	}
}

func TestTheEntryLinkItselfIsNotShortened(t *testing.T) {
	s := signer(t, func(c *sign.Config) { c.Scope, c.Renew = sign.Directory, 3*time.Hour })
	for _, u := range []string{"/live/a/", "/live/a/movie.mp4", "/live/a/master.m3u8"} {
		g := must(s.Verify(request(must(s.URL(u)))))
		require.InDelta(t, 3*time.Hour, time.Until(g.Until), float64(5*time.Minute), u)
	}
}

func TestRevocationIsImmediate(t *testing.T) {
	var revoked atomic.Bool
	s := signer(t, func(c *sign.Config) {
		c.Refuse = func(r *http.Request, g sign.Grant) error {
			if g.Session == "s1" && revoked.Load() {
				return errors.New("logged out")
			}
			return nil
		}
	})
	g := must(s.Grant(nil))
	g.Session = "s1"
	master := must(s.URLUnder(g, "/live/master.m3u8"))
	segment := child(t, s, admitted(t, s, master), "/live/1.ts")
	w, _ := serve(s, request(segment))
	require.Equal(t, 200, w.Code)
	revoked.Store(true)
	for _, link := range []string{master, segment} {
		w, inner := serve(s, request(link))
		require.Equal(t, 403, w.Code)
		require.Nil(t, inner)
	}
	w, _ = serve(s, request(must(s.URL("/live/master.m3u8"))))
	require.Equal(t, 200, w.Code, "other sessions go on")
}
