package main

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// behind is the report of a page about one player.
type behind struct {
	Name, Fatal  string
	Stalls       int
	Behind       float64 // seconds, from EXT-X-PROGRAM-DATE-TIME; negative: not known yet
	Target, Time float64
}

// TestLatencyThroughTheChain plays for half a minute in Chromium, so it is left to the end-to-end tests, or run by hand:
//
//	HLSJS=path/to/hls.min.js go test -run Latency -v ./examples/demo
func TestLatencyThroughTheChain(t *testing.T) {
	script := os.Getenv("HLSJS")
	if _, err := exec.LookPath("chromium"); script == "" || err != nil {
		t.Skip("needs HLSJS=FILE and chromium")
	}
	reports := make(chan []behind, 1000)
	openLatencyPage(t, script, reports)

	const settle, measure, tries = 40, 48, 3 // reports, four a second
	patience := time.After(3 * time.Minute)
	next := func() map[string]behind {
		for {
			select {
			case report := <-reports:
				both := map[string]behind{}
				for _, r := range report {
					require.Empty(t, r.Fatal, r.Name)
					if r.Behind >= 0 {
						both[r.Name] = r
					}
				}
				if len(both) == 2 {
					return both
				}
			case <-patience:
				t.Fatal("the page is silent, or does not play")
			}
		}
	}
	for range settle {
		next()
	}
	// A busy machine stalls one player or the other. A player catches up again; the cost of the chain stays.
	for try := 1; ; try++ {
		seen, last := map[string][]float64{}, map[string]behind{}
		for range measure {
			last = next()
			for name, r := range last {
				seen[name] = append(seen[name], r.Behind)
			}
		}
		for name, all := range seen {
			slices.Sort(all)
			t.Logf("%s: %.3f s behind live (median of %d; %.3f to %.3f), target %.2f s, %d stalls", name, all[measure/2], measure, all[0], all[measure-1], last[name].Target, last[name].Stalls)
		}
		if math.Abs(seen["direct"][measure/2]-seen["chain"][measure/2]) <= 0.3 {
			return
		}
		require.Less(t, try, tries, "the chain adds to the latency")
	}
}

// openLatencyPage opens two players until the test ends, straight at an origin and through the chain.
func openLatencyPage(t *testing.T, script string, reports chan<- []behind) {
	t.Helper()
	stream := newLiveOrigin(time.Now, true)
	live, err := stream.handler()
	require.NoError(t, err)
	d, err := newDemo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // for the player that comes without the chain
		live.ServeHTTP(w, r)
	}))
	require.NoError(t, err)
	t.Cleanup(d.kill)
	front, err := d.site("", stream)
	require.NoError(t, err)
	public := httptest.NewServer(front)
	t.Cleanup(public.Close)
	var entry link
	require.NoError(t, json.Unmarshal([]byte(fetch(t, public.URL+"/link", http.StatusOK)), &entry))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/latency.html") })
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var report []behind
		if json.NewDecoder(r.Body).Decode(&report) == nil {
			reports <- report
		}
	})
	page := httptest.NewServer(mux)
	t.Cleanup(page.Close)

	urls, err := json.Marshal(map[string]string{"direct": "http://" + d.origins[0].address + "/live/master.m3u8", "chain": public.URL + entry.FMP4})
	require.NoError(t, err)
	profile, err := os.MkdirTemp("", "latency")
	require.NoError(t, err)
	browser := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile, page.URL+"/#"+url.PathEscape(string(urls)))
	browser.Env = append(os.Environ(), "HOME="+profile)
	require.NoError(t, browser.Start())
	t.Cleanup(func() {
		browser.Process.Kill()
		browser.Wait()
		page.CloseClientConnections()
		os.RemoveAll(profile)
	})
}
