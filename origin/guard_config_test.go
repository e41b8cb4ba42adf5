package origin_test

import (
	"bytes"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestNewGuardReportsAllFaults(t *testing.T) {
	via := func(raw string) *url.URL {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		return u
	}
	for _, row := range []struct {
		config origin.GuardConfig
		faults []string // in the text of the error, one line each
	}{
		{origin.GuardConfig{}, nil},
		{origin.GuardConfig{Hosts: []string{"a.example", "*.b.example", "10.0.0.1", "::1", "[::1]", "A_B.example.", "localhost"}}, nil},
		{origin.GuardConfig{Hosts: []string{"127.0.0.1:9101"}}, []string{`Guard.Hosts: "127.0.0.1:9101" has a port`}},
		{origin.GuardConfig{Hosts: []string{"[::1]:80", "http://a.example", "https://a.example:8080/x"}}, []string{`"[::1]:80" has a port`, `"http://a.example" has a scheme`, `"https://a.example:8080/x" has a scheme`}},
		{origin.GuardConfig{Hosts: []string{"*", "*.", "", ".", "*example.com", "**.example.com", "*.10.0.0.1"}}, []string{`"*" is no pattern`, `"*." is no pattern`, `"" is neither`, `"." is neither`, `"*example.com" is`, `"**.example.com" is`, `"*.10.0.0.1" is`}},
		{origin.GuardConfig{Hosts: []string{"a.example/x", "a b", "ä.example", "127.1", "0x7f.1", "a@b.example", "fe80::1%eth0"}}, []string{`"a.example/x"`, `"a b"`, `"ä.example"`, `"127.1"`, `"0x7f.1"`, `"a@b.example"`, `"fe80::1%eth0"`}},
		{origin.GuardConfig{Ports: []string{"80", "1-65535", "all", "443-443"}}, nil},
		{origin.GuardConfig{Ports: []string{"", "0", "65536", "80-70", "-80", "80-", "http", "*", "080", "+80", "1-2-3"}}, []string{`Guard.Ports: ""`, `"0"`, `"65536"`, `"80-70"`, `"-80"`, `"80-"`, `"http"`, `"*"`, `"080"`, `"+80"`, `"1-2-3"`}},
		{origin.GuardConfig{Allow: []netip.Prefix{{}}, Deny: prefixes("::ffff:10.0.0.0/104")}, []string{`Guard.Allow: "invalid Prefix" is not a prefix`, `Guard.Deny: "::ffff:10.0.0.0/104" is an IPv4-mapped prefix`}},
		{origin.GuardConfig{Self: []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.1:0")}}, []string{`Guard.Self: "invalid AddrPort"`, `Guard.Self: "127.0.0.1:0"`}},
		{origin.GuardConfig{Via: via("socks5://user:pass@vpn.example:1080")}, nil},
		{origin.GuardConfig{Via: via("http://127.0.0.1:3128/")}, nil},
		{origin.GuardConfig{Via: via("ftp://a.example")}, []string{`Guard.Via: "ftp"`}},
		{origin.GuardConfig{Via: via("http:///x")}, []string{`has no host`, `has more than`}},
		{origin.GuardConfig{Via: via("http://u:secret@a.example/x")}, []string{`has more than`}},
		{origin.GuardConfig{Insecure: []string{"a.example", "*.b.example"}}, nil},
		{origin.GuardConfig{Insecure: []string{"*"}}, []string{`Guard.Insecure: "*"`}},
		{origin.GuardConfig{Protocols: new(http.Protocols)}, []string{`Guard.Protocols`}},
		{origin.GuardConfig{Hosts: []string{"a:1"}, Ports: []string{"x"}, Insecure: []string{"*"}}, []string{"Guard.Hosts", "Guard.Insecure", "Guard.Ports"}},
	} {
		_, err := origin.NewGuard(row.config)
		if row.faults == nil {
			require.NoError(t, err)
			continue
		}
		require.Error(t, err)
		lines := strings.Split(err.Error(), "\n")
		require.Len(t, lines, len(row.faults), "%v", err)
		for i, fault := range row.faults {
			require.Contains(t, lines[i], fault)
			require.NotContains(t, lines[i], "secret")
		}
	}
}

// The operator is told what to change. The viewer is told nothing.
func TestRefusalsNameTheField(t *testing.T) {
	for name, row := range map[string]struct {
		config origin.GuardConfig
		url    string
		detail string
	}{
		"host":         {origin.GuardConfig{Hosts: []string{"a.example"}}, "http://b.example/", `host "b.example" is not in Guard.Hosts`},
		"address":      {origin.GuardConfig{Hosts: []string{"a.example"}}, "http://8.8.8.8/", `host "8.8.8.8" is not in Guard.Hosts`},
		"port":         {origin.GuardConfig{}, "http://b.example:8080/", `port 8080 is not in Guard.Ports (80 and 443)`},
		"port listed":  {origin.GuardConfig{Ports: []string{"80", "8000-8010"}}, "http://8.8.8.8:8080/", `port 8080 is not in Guard.Ports (80, 8000-8010)`},
		"decoy":        {origin.GuardConfig{Ports: []string{"all"}}, "http://8.8.8.8:6379/", `port 6379 is not in Guard.Ports (all); it is one that attackers look for, so it must be named by itself`},
		"loopback":     {origin.GuardConfig{}, "http://127.0.0.1:9101/", `127.0.0.1 is a loopback address (RFC 1122) and not in Guard.Allow`},
		"single label": {origin.GuardConfig{}, "http://nas/", `host "nas" is not a public name, so it must be in Guard.Hosts`},
		"denied":       {origin.GuardConfig{Deny: prefixes("8.8.8.0/24")}, "http://8.8.8.8/", `8.8.8.8 is in Guard.Deny`},
	} {
		t.Run(name, func(t *testing.T) {
			g := guardOf(t, row.config)
			err := check(g, row.url)
			var no *origin.ForbiddenError
			require.ErrorAs(t, err, &no)
			require.Equal(t, row.detail, no.Detail)

			var logged bytes.Buffer
			before := log.Writer()
			log.SetOutput(&logged)
			defer log.SetOutput(before)
			tr := g.Transport()
			defer tr.CloseIdleConnections()
			w := httptest.NewRecorder()
			p := &origin.Proxy{Transport: tr, Upstream: func(*url.URL) (string, error) { return row.url, nil }}
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/a.m3u8", nil))
			require.Equal(t, 403, w.Code)
			require.Equal(t, "Forbidden\n", w.Body.String())
			require.Contains(t, logged.String(), `origin: GET "/live/a.m3u8": `+row.detail+"\n")
		})
	}
}

// If OnFailure is nil, failures that the operator can mend are logged, without a viewer's secrets.
func TestWhatIsLoggedByDefault(t *testing.T) {
	for name, row := range map[string]struct {
		proxy  *origin.Proxy
		path   string
		logged string // "": nothing
	}{
		"no upstream URL": {&origin.Proxy{Upstream: func(*url.URL) (string, error) { return "", errors.New("no") }}, "/x", ""},
		"a hook panics":   {&origin.Proxy{ModifyResponse: func(*http.Response) error { panic("a fault") }}, "/x", "a fault"},
		"a hook fails":    {&origin.Proxy{ModifyResponse: func(*http.Response) error { return errors.New("no playlist") }}, "/x", "no playlist"},
		"a token":         {&origin.Proxy{ModifyResponse: func(*http.Response) error { return errors.New("no playlist") }}, "/s/" + strings.Repeat("t", 64) + "/a.m3u8?hpt=secret", `"/s/tttttttt.../a.m3u8"`},
		"told":            {&origin.Proxy{ModifyResponse: func(*http.Response) error { return errors.New("no") }, OnFailure: func(*http.Request, error) {}}, "/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			before := log.Writer()
			log.SetOutput(&logged)
			defer log.SetOutput(before)
			p := row.proxy
			if p.Upstream == nil {
				p.Upstream = func(*url.URL) (string, error) { return "http://a.example/x", nil }
			}
			p.Transport = roundTrip(says(200))
			p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, row.path, nil))
			require.NotContains(t, logged.String(), "secret")
			if row.logged == "" {
				require.Empty(t, logged.String())
			} else {
				require.Contains(t, logged.String(), row.logged)
			}
		})
	}
}
