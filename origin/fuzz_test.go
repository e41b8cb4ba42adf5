package origin_test

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
)

// FuzzCheck holds Check to what must be true of any URL it passes, by other means than Check's own.
func FuzzCheck(f *testing.F) {
	text, err := os.ReadFile("testdata/urls.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, raw, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			f.Add(raw)
		}
	}
	guard := &origin.Guard{}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || guard.Check(u) != nil {
			return
		}
		host := u.Hostname()
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.ContainsAny(host, "%\\@/?# \t\r\n\x00_") {
			t.Fatalf("%q passed", raw)
		}
		if p := u.Port(); p != "" && p != "80" && p != "443" {
			t.Fatalf("%q passed with port %s", raw, p)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host {
			t.Fatalf("%q reads differently the second time", raw)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if a.IsPrivate() || a.IsLoopback() || !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
				t.Fatalf("%q passed", raw)
			}
			if guard.Control("tcp", net.JoinHostPort(host, "443"), nil) != nil {
				t.Fatalf("Check and Control disagree on %q", raw)
			}
			return
		}
		last := strings.TrimSuffix(host, ".")
		last = last[strings.LastIndexByte(last, '.')+1:]
		if _, err := strconv.ParseUint(last, 0, 64); err == nil || !strings.Contains(strings.TrimSuffix(host, "."), ".") {
			t.Fatalf("%q passed as a name", raw)
		}
		switch strings.ToLower(last) {
		case "localhost", "local", "internal":
			t.Fatalf("%q passed", raw)
		}
	})
}
