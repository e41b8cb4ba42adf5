package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// press sends the request of a button of the page.
func (s *stage) press(t *testing.T, what string, values url.Values) int {
	t.Helper()
	resp, err := http.PostForm(s.url+"/control/"+what, values)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

func TestALinkPlaysUntilItExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	var mine, other link
	require.NoError(t, json.Unmarshal([]byte(fetch(t, s.url+"/link", http.StatusOK)), &mine))
	require.NoError(t, json.Unmarshal([]byte(fetch(t, s.url+"/link", http.StatusOK)), &other))
	for _, entry := range []string{mine.FMP4, mine.TS} {
		_, token, found := strings.Cut(entry, "?")
		require.True(t, found)
		master := fetch(t, s.url+entry, http.StatusOK)
		require.Contains(t, master, "/v0/index.m3u8?"+token, "children inherit the session")
		list := fetch(t, s.url+strings.Replace(entry, "master.m3u8", "v0/index.m3u8", 1), http.StatusOK)
		require.Equal(t, window, strings.Count(list, "?"+token+"\n"))
	}
	fetch(t, s.url+"/signed/live/master.m3u8", http.StatusUnauthorized)
	fetch(t, s.url+mine.FMP4+"x", http.StatusForbidden)

	require.Equal(t, http.StatusNoContent, s.press(t, "expire", url.Values{"session": {mine.Session}}))
	fetch(t, s.url+mine.FMP4, http.StatusForbidden)
	fetch(t, s.url+mine.TS, http.StatusForbidden)
	fetch(t, s.url+strings.Replace(mine.FMP4, "master.m3u8", "v0/index.m3u8", 1), http.StatusForbidden)
	fetch(t, s.url+other.FMP4, http.StatusOK)
	fetch(t, s.url+"/hls/live/master.m3u8", http.StatusOK)
	require.EqualValues(t, 5, s.meter.served.counts().Refused)
	require.Equal(t, http.StatusBadRequest, s.press(t, "expire", nil))
}

func TestAnOriginThatIsKilledIsMissedByNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	renditions := func(status int) {
		for _, name := range trackNames() {
			fetch(t, fmt.Sprintf("%s/hls/live/%s/index.m3u8?now=%d", s.url, name, time.Now().UnixNano()), status)
		}
	}
	renditions(http.StatusOK)
	for _, o := range s.origins {
		require.NotZero(t, o.traffic.counts().requests(), "each has its part of the stream")
	}
	for _, name := range []string{"A", "B"} {
		require.Equal(t, http.StatusNoContent, s.press(t, "origin", url.Values{"name": {name}, "up": {"false"}}))
		renditions(http.StatusOK)
		require.Equal(t, http.StatusNoContent, s.press(t, "origin", url.Values{"name": {name}, "up": {"true"}}))
		require.Equal(t, http.StatusNoContent, s.press(t, "origin", url.Values{"name": {name}, "up": {"true"}}), "it lives already")
	}
	for _, name := range []string{"A", "B", "B"} {
		s.press(t, "origin", url.Values{"name": {name}, "up": {"false"}})
	}
	renditions(http.StatusBadGateway)
	require.EqualValues(t, 3, s.meter.served.counts().Failed)
	for name, values := range map[string]url.Values{
		"nothing": nil, "no state": {"name": {"A"}}, "no such origin": {"name": {"C"}, "up": {"true"}},
	} {
		require.Equal(t, http.StatusBadRequest, s.press(t, "origin", values), name)
	}
}

func TestPictureAndSoundComeFromDifferentOrigins(t *testing.T) {
	for range 8 { // by chance it would happen every other time
		d, err := newDemo(answer(""))
		require.NoError(t, err)
		for _, name := range []string{"v0", "a0"} {
			resp, err := (&http.Client{Transport: d.up.pool}).Get(d.up.origins[0] + "/live/" + name + "/index.m3u8")
			require.NoError(t, err)
			resp.Body.Close()
		}
		for _, o := range d.origins {
			require.EqualValues(t, 1, o.traffic.counts().requests())
		}
		d.kill()
	}
}

func TestTheCacheCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	asked := func() int64 {
		before := s.fromOrigins().requests()
		for range 5 {
			fetch(t, s.url+"/hls/live/v0/init.mp4", http.StatusOK)
		}
		return s.fromOrigins().requests() - before
	}
	require.EqualValues(t, 1, asked())
	require.Equal(t, http.StatusNoContent, s.press(t, "cache", url.Values{"on": {"false"}}))
	require.EqualValues(t, 5, asked())
	require.Equal(t, "cache off", s.meter.noted)
	require.Equal(t, http.StatusNoContent, s.press(t, "cache", url.Values{"on": {"true"}}))
	require.Zero(t, asked())
	require.Equal(t, http.StatusBadRequest, s.press(t, "cache", nil))
}

func TestTheCrowdGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	for name, lowLatency := range map[string]bool{"segments": false, "parts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lowLatency)
			s.crowd.ramp = 200 * time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{})
			go func() {
				defer close(left)
				s.crowd.run(ctx, s.url+"/hls/live/master.m3u8", 1, func(err error) { t.Error(err) })
			}()
			require.Equal(t, http.StatusNoContent, s.press(t, "viewers", url.Values{"count": {"7"}}))
			require.Eventually(t, func() bool { return s.meter.viewers() == 7 && s.crowd.size() == 7 }, time.Minute, 10*time.Millisecond)
			require.Equal(t, http.StatusNoContent, s.press(t, "viewers", url.Values{"count": {"2"}}))
			require.Eventually(t, func() bool { return s.crowd.size() == 2 }, time.Minute, 10*time.Millisecond)
			if lowLatency { // in which each player sends several requests a second
				require.Eventually(t, func() bool { return s.meter.viewers() <= 2 }, time.Minute, 100*time.Millisecond, "the others have left")
				require.Eventually(t, func() bool { return s.asked("_HLS_part=") > 4 && s.asked(".0.m4s") > 0 }, time.Minute, 10*time.Millisecond)
			}
			for _, count := range []string{"", "-1", "501", "many"} {
				require.Equal(t, http.StatusBadRequest, s.press(t, "viewers", url.Values{"count": {count}}))
			}
			cancel()
			<-left
		})
	}
}

// asked counts the different answers of the origins to URLs that contain a text.
func (s *stage) asked(part string) (n int) {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	for answer := range s.origin.gave {
		if strings.Contains(answer, part) {
			n++
		}
	}
	return n
}

func TestOnlyThePageOnThisMachineControls(t *testing.T) {
	d, err := newDemo(answer(""))
	require.NoError(t, err)
	defer d.kill()
	tests := map[string]struct {
		from, host string
		header     http.Header
		status     int
	}{
		"the page":                 {"127.0.0.1:1", "127.0.0.1:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 204},
		"by name":                  {"127.0.0.1:1", "localhost:8080", nil, 204},
		"IPv6":                     {"[::1]:1", "[::1]:8080", nil, 204},
		"without a port":           {"127.0.0.1:1", "localhost", nil, 204},
		"mapped IPv4":              {"[::ffff:127.0.0.1]:1", "localhost", nil, 204},
		"a machine nearby":         {"192.168.1.5:1", "192.168.1.2:8080", nil, 403},
		"one that lies about Host": {"192.168.1.5:1", "localhost:8080", nil, 403},
		"a name made to point here": {
			"127.0.0.1:1", "rebound.example:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 403,
		},
		"a name that looks like it": {"127.0.0.1:1", "localhost.example", nil, 403},
		"another page":              {"127.0.0.1:1", "localhost:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		"another page, old browser": {"127.0.0.1:1", "localhost:8080", http.Header{"Origin": {"https://page.example"}}, 403},
	}
	for name, tt := range tests {
		r := httptest.NewRequest(http.MethodPost, "/control/cache?on=true", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		maps.Copy(r.Header, tt.header)
		w := httptest.NewRecorder()
		d.controls().ServeHTTP(w, r)
		require.Equal(t, tt.status, w.Code, name)
	}
	r := httptest.NewRequest(http.MethodGet, "/control/cache?on=true", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	w := httptest.NewRecorder()
	d.controls().ServeHTTP(w, r)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}
