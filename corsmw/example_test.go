package corsmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/hlsproxy/hlsproxy/corsmw"
)

func Example() {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"https://player.example", "https://*.example.com"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	media := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no token", http.StatusUnauthorized)
	})
	r := httptest.NewRequest("GET", "/live/master.m3u8", nil)
	r.Header.Set("Origin", "https://www.example.com")
	w := httptest.NewRecorder()
	cors.Handler(media).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	fmt.Println(w.Header().Get("Vary"))
	// Output:
	// 401 https://www.example.com
	// Origin
}

// A handler that asks for credentials must stand inside: a preflight carries none, so here every player is refused.
func ExampleMiddleware_Handler_wrongOrder() {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"https://player.example"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	media := http.NotFoundHandler()
	auth := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, h := range map[string]http.Handler{"wrong": auth(cors.Handler(media)), "right": cors.Handler(auth(media))} {
		r := httptest.NewRequest("OPTIONS", "/live/master.m3u8", nil)
		r.Header.Set("Origin", "https://player.example")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%s %d %q\n", name, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	// Unordered output:
	// wrong 401 ""
	// right 204 "https://player.example"
}

// All faults of a configuration are reported together.
func ExampleNew() {
	_, err := corsmw.New(corsmw.Config{Origins: []string{"*", "https://example.com/"}, Credentials: true})
	fmt.Println(err)
	// Output:
	// corsmw: Origins: "*" with Credentials would let every page act for its visitors: list the pages
	// corsmw: Origins: "https://example.com/" has more than scheme, host and port: browsers send no path, not even a final /
}
