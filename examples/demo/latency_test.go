package main

import (
	"encoding/json"
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

// behind is what a page reports of one player.
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

	const settle, measure = 10 * time.Second, 12 * time.Second
	began, seen, last := time.Now(), map[string][]float64{}, map[string]behind{}
	for time.Since(began) < settle+measure {
		select {
		case report := <-reports:
			for _, r := range report {
				require.Empty(t, r.Fatal, r.Name)
				last[r.Name] = r
				if time.Since(began) > settle {
					require.GreaterOrEqual(t, r.Behind, 0.0, "%s does not play", r.Name)
					seen[r.Name] = append(seen[r.Name], r.Behind)
				}
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the page is silent")
		}
		if len(seen) == 0 && time.Since(began) < settle && len(last) == 0 {
			began = time.Now() // the browser is still starting
		}
	}
	for name, all := range seen {
		slices.Sort(all)
		t.Logf("%s: %.3f s behind live (median of %d; %.3f to %.3f), target %.2f s, %d stalls", name, all[len(all)/2], len(all), all[0], all[len(all)-1], last[name].Target, last[name].Stalls)
	}
	require.Greater(t, len(seen["direct"]), 20)
	require.InDelta(t, seen["direct"][len(seen["direct"])/2], seen["chain"][len(seen["chain"])/2], 0.3)
}

// openLatencyPage opens two players until the test ends, straight at an origin and through the chain.
func openLatencyPage(t *testing.T, script string, reports chan<- []behind) {
	t.Helper()
	live, err := newLiveOrigin(time.Now, true).handler()
	require.NoError(t, err)
	d, err := newDemo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // for the player that comes without the chain
		live.ServeHTTP(w, r)
	}))
	require.NoError(t, err)
	t.Cleanup(d.kill)
	front, err := d.site("", true)
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
