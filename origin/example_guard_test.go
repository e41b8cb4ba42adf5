package origin_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/hlsproxy/hlsproxy/origin"
)

// A Guard decides about targets. The zero value admits public hosts on the ports 80 and 443.
func ExampleGuard() {
	guard := new(origin.Guard)
	for _, target := range []string{
		"https://cdn.example.com/live/index.m3u8",
		"http://169.254.169.254/latest/meta-data/",
		"http://0x7f.1/",
		"http://localhost./",
		"https://cdn.example.com:6379/",
		"file:///etc/passwd",
	} {
		u, err := url.Parse(target)
		if err == nil {
			err = guard.Check(u)
		}
		fmt.Println(target, errors.Is(err, origin.ErrForbidden))
	}
	// Output:
	// https://cdn.example.com/live/index.m3u8 false
	// http://169.254.169.254/latest/meta-data/ true
	// http://0x7f.1/ true
	// http://localhost./ true
	// https://cdn.example.com:6379/ true
	// file:///etc/passwd true
}

// A client of the service itself is guarded after DNS: a name may resolve to any address.
func ExampleGuard_Control() {
	guard := new(origin.Guard)
	dialer := &net.Dialer{Control: guard.Control}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
	_, err := client.Get("http://127.0.0.1:9/")
	fmt.Println(errors.Is(err, origin.ErrForbidden))
	// Output: true
}
