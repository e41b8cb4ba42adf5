package origin_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
)

// A server hides its segments behind a picture of one pixel.
func ExampleTrim() {
	packet := append([]byte{0x47, 0x40, 0x00, 0x10}, make([]byte, 184)...)
	segment := append([]byte(gif), bytes.Repeat(packet, 100)...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "seg1.gif", time.Time{}, bytes.NewReader(segment))
	}))
	defer server.Close()

	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // the address of the example's server
	if err != nil {
		panic(err)
	}
	transport := origin.Trim(guard.Transport(), nil) // below a cache, if there is one
	get := func(byteRange string) {
		r, _ := http.NewRequest(http.MethodGet, server.URL+"/seg1.gif", nil)
		if byteRange != "" {
			r.Header.Set("Range", byteRange)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%d %s %s %d bytes from %#x\n", resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Content-Range"), len(body), body[0])
	}
	fmt.Println(len(segment), "bytes, type image/gif")
	get("")
	get("bytes=188-375")
	// Output:
	// 18842 bytes, type image/gif
	// 200 video/mp2t  18800 bytes from 0x47
	// 206 video/mp2t bytes 188-375/18800 188 bytes from 0x47
}
