package corsmw_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		config corsmw.Config
		field  string
	}{
		"no origins":                    {corsmw.Config{}, "Origins"},
		"star with credentials":         {corsmw.Config{Origins: []string{"*"}, Credentials: true}, "Origins"},
		"star and another":              {corsmw.Config{Origins: []string{"*", "https://a.example"}}, "Origins"},
		"null":                          origin("null"),
		"null with credentials":         {corsmw.Config{Origins: []string{"null"}, Credentials: true, DangerouslyAllowNull: true}, "Origins"},
		"local files":                   origin("file://"),
		"local files with credentials":  {corsmw.Config{Origins: []string{"file://"}, Credentials: true, DangerouslyAllowNull: true}, "Origins"},
		"path of an app":                origin("app://./"),
		"blank in an app":               origin("app://a b"),
		"empty host":                    origin("https://"),
		"a dot for a host":              origin("https://."),
		"pattern over http":             origin("http://*.example.com"),
		"any port over http":            origin("http://example.com:*"),
		"http with credentials":         {corsmw.Config{Origins: []string{"http://example.com"}, Credentials: true}, "Origins"},
		"top-level domain":              origin("https://*.com"),
		"top-level domain, any depth":   origin("https://**.com"),
		"second level of a country":     origin("https://*.co.uk"),
		"hosting service":               origin("https://*.github.io"),
		"everything":                    origin("https://*"),
		"everything, any depth":         origin("https://**"),
		"empty":                         origin(""),
		"no scheme":                     origin("example.com"),
		"scheme in upper case":          origin("HTTPS://example.com"),
		"wildcard scheme":               origin("*://example.com"),
		"host in upper case":            origin("https://Example.com"),
		"other script":                  origin("https://bücher.example"),
		"final slash":                   origin("https://example.com/"),
		"path":                          origin("https://example.com/player"),
		"query":                         origin("https://example.com?x"),
		"userinfo":                      origin("https://me@example.com"),
		"default port":                  origin("https://example.com:443"),
		"default port of http":          origin("http://example.com:80"),
		"port 0":                        origin("https://example.com:0"),
		"port with a zero in front":     origin("https://example.com:08443"),
		"port with a sign":              origin("https://example.com:+8443"),
		"port too large":                origin("https://example.com:65536"),
		"empty port":                    origin("https://example.com:"),
		"wildcard inside a label":       origin("https://a*.example.com"),
		"wildcard at the end of a name": origin("https://*ample.example.com"),
		"wildcard in the middle":        origin("https://a.*.example.com"),
		"two wildcards":                 origin("https://*.*.example.com"),
		"three stars":                   origin("https://***.example.com"),
		"empty label":                   origin("https://a..example.com"),
		"space":                         origin("https://a b.example"),
		"pattern of addresses":          origin("https://*.0.0.1"),
		"address in long form":          origin("https://127.0.0.01"),
		"address as one number":         origin("https://2130706433"),
		"address in hex":                origin("https://0x7f000001"),
		"IPv6 in long form":             origin("https://[0:0:0:0:0:0:0:1]"),
		"IPv6 with a zone":              origin("https://[fe80::1%eth0]"),
		"IPv6 without brackets":         origin("https://::1"),
		"header name with a space":      {corsmw.Config{Origins: everyone, AllowHeaders: []string{"Range If-Range"}}, "AllowHeaders"},
		"header name with a control":    {corsmw.Config{Origins: everyone, AllowHeaders: []string{"Range\x11"}}, "AllowHeaders"},
		"header name that is empty":     {corsmw.Config{Origins: everyone, ExposeHeaders: []string{""}}, "ExposeHeaders"},
		"header injection":              {corsmw.Config{Origins: everyone, ExposeHeaders: []string{"Age\r\nX: y"}}, "ExposeHeaders"},
		"all headers with credentials":  {corsmw.Config{Origins: single, AllowHeaders: []string{"*"}, Credentials: true}, "AllowHeaders"},
		"expose all with credentials":   {corsmw.Config{Origins: single, ExposeHeaders: []string{"*"}, Credentials: true}, "ExposeHeaders"},
		"age beyond a day":              {corsmw.Config{Origins: everyone, MaxAge: 25 * time.Hour}, "MaxAge"},
		"age meant as seconds":          {corsmw.Config{Origins: everyone, MaxAge: 3600}, "MaxAge"},
		"unknown resource policy":       {corsmw.Config{Origins: everyone, ResourcePolicy: "anyone"}, "ResourcePolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := corsmw.New(c.config)
			require.Nil(t, m)
			var fault *corsmw.ConfigError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, c.field, fault.Field)
			require.NotEmpty(t, fault.Reason)
		})
	}
}

var (
	everyone = []string{"*"}
	single   = []string{"https://example.com"}
)

func origin(s string) struct {
	config corsmw.Config
	field  string
} {
	return struct {
		config corsmw.Config
		field  string
	}{corsmw.Config{Origins: []string{s, "https://example.org"}}, "Origins"}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	_, err := corsmw.New(corsmw.Config{
		Origins: []string{"*", "null", "https://*.com", "http://example.com"}, Credentials: true, MaxAge: 48 * time.Hour,
		AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*", "a b"}, ResourcePolicy: "x",
	})
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), 9)
}

func TestOrigins(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, c := range map[string]struct {
		config  corsmw.Config
		yes, no []string
	}{
		"exact": {corsmw.Config{Origins: []string{"https://example.com"}},
			[]string{"https://example.com"},
			[]string{"", "null", "*", "http://example.com", "https://example.com:8443", "https://example.com/", "https://EXAMPLE.com",
				"https://example.com.evil.org", "https://a.example.com", "https://notexample.com", "https://example.com ", " https://example.com"}},
		"two that must not mix": {corsmw.Config{Origins: []string{"https://foo.com", "https://*.bar.com"}},
			[]string{"https://foo.com", "https://a.bar.com"}, []string{"https://barfoo.com", "https://foo.com.bar.com", "https://bar.com"}},
		"one label": {corsmw.Config{Origins: []string{"https://*.example.com"}},
			[]string{"https://a.example.com", "https://xn--bcher-kva.example.com", "https://a-b_c.example.com", "https://" + long + ".example.com"},
			[]string{"https://example.com", "https://a.b.example.com", "https://.example.com", "http://a.example.com", "https://a.example.com:8443",
				"https://A.example.com", "https://evil.org?.example.com", "https://evil.org/.example.com", "https://a@b.example.com",
				"https://a.example.com.evil.org", "https://aexample.com", "https://" + long + "a.example.com", "https://a\n.example.com", "https://é.example.com"}},
		"any depth": {corsmw.Config{Origins: []string{"https://**.example.com"}},
			[]string{"https://a.example.com", "https://a.b.c.example.com"},
			[]string{"https://example.com", "https://a..example.com", "https://.a.example.com", "https://" + strings.Repeat("a.", 130) + "example.com"}},
		"port": {corsmw.Config{Origins: []string{"https://*.example.com:8443"}},
			[]string{"https://a.example.com:8443"}, []string{"https://a.example.com", "https://a.example.com:18443", "https://a.example.com:443"}},
		"any port": {corsmw.Config{Origins: []string{"https://example.com:*", "https://*.example.org:*"}},
			[]string{"https://example.com", "https://example.com:1", "https://example.com:65535", "https://a.example.org:81", "https://a.example.org"},
			[]string{"https://example.com:", "https://example.com:0", "https://example.com:443", "https://example.com:65536", "https://example.com:081",
				"https://example.com:8443:1", "https://example.com:x", "https://example.com.evil.org:8443", "https://a.b.example.org:1"}},
		"pages under development": {corsmw.Config{Origins: []string{"http://localhost:3000", "http://127.0.0.1", "http://[::1]:*", "http://localhost:*"}, Credentials: true},
			[]string{"http://localhost:3000", "http://127.0.0.1", "http://[::1]", "http://[::1]:5173", "http://localhost:8080"},
			[]string{"https://localhost:3000", "http://127.0.0.1:81", "http://[::1", "http://[::1]]:5173", "http://localhost.evil.org:8080"}},
		"insecure by name": {corsmw.Config{Origins: []string{"http://*.example.com", "http://example.com"}, Credentials: true, DangerouslyAllowInsecure: true},
			[]string{"http://a.example.com", "http://example.com"}, []string{"https://a.example.com", "http://a.example.com:80"}},
		"http without credentials": {corsmw.Config{Origins: []string{"http://example.com"}}, []string{"http://example.com"}, []string{"https://example.com"}},
		"null by name":             {corsmw.Config{Origins: []string{"null"}, DangerouslyAllowNull: true}, []string{"null"}, []string{"NULL", ""}},
		"public suffix by name": {corsmw.Config{Origins: []string{"https://*.github.io"}, DangerouslyAllowPublicSuffixes: true},
			[]string{"https://me.github.io"}, []string{"https://github.io"}},
		"app": {corsmw.Config{Origins: []string{"capacitor://localhost"}}, []string{"capacitor://localhost"}, []string{"http://localhost"}},
		"apps of all makes": {corsmw.Config{Credentials: true, Origins: []string{"app://.", "app://", "ionic://localhost", "tauri://localhost", "app://obsidian.md",
			"http://tauri.localhost", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "safari-web-extension://0A1B2C3D-0000", "vscode-webview://1a2b",
			"ms-appx-web://Some.App", "capacitor://localhost:8080"}},
			[]string{"app://.", "app://", "ionic://localhost", "tauri://localhost", "app://obsidian.md", "http://tauri.localhost",
				"chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "safari-web-extension://0A1B2C3D-0000", "vscode-webview://1a2b", "ms-appx-web://Some.App", "capacitor://localhost:8080"},
			[]string{"app://..", "app://./", "App://.", "ionic://", "file://", "null", "capacitor://localhost:8081"}},
		"patterns of apps":    {corsmw.Config{Origins: []string{"app://*.example.com", "capacitor://localhost:*"}}, []string{"app://a.example.com", "capacitor://localhost:1"}, []string{"app://."}},
		"local files by name": {corsmw.Config{Origins: []string{"file://"}, DangerouslyAllowNull: true}, []string{"file://"}, []string{"file:///", "null"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := corsmw.New(c.config)
			require.NoError(t, err)
			h := m.Handler(answer(200))
			for _, origin := range c.yes {
				res := ask(h, "GET", "Origin", origin)
				require.Equal(t, []string{origin}, res.Header["Access-Control-Allow-Origin"], origin)
				require.Equal(t, []string{"Origin"}, res.Header["Vary"])
			}
			for _, origin := range c.no {
				res := ask(h, "GET", "Origin", origin)
				require.Equal(t, 200, res.StatusCode)
				require.Empty(t, res.Header["Access-Control-Allow-Origin"], origin)
				require.Empty(t, res.Header["Access-Control-Allow-Credentials"], origin)
				require.Equal(t, []string{"Origin"}, res.Header["Vary"], "an answer that is kept must not serve another origin")
			}
		})
	}
}

// FuzzOrigin compares each decision with a slow and plain reading of the patterns.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://example.com", "https://a.example.com", "https://a.b.example.org", "https://example.net:81", "null",
		"https://evil.org/.example.com", "https://a.example.com:443", "https://[::1]:1", "https://.example.org"} {
		f.Add(s)
	}
	m, err := corsmw.New(corsmw.Config{
		Origins: []string{"https://example.com", "https://*.example.com", "https://**.example.org", "https://example.net:*"}, Credentials: true,
	})
	require.NoError(f, err)
	h := m.Handler(answer(200))
	f.Fuzz(func(t *testing.T, origin string) {
		got := ask(h, "GET", "Origin", origin).Header["Access-Control-Allow-Origin"]
		if plainly(origin) {
			require.Equal(t, []string{origin}, got)
		} else {
			require.Empty(t, got)
		}
	})
}

func plainly(origin string) bool {
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		return false
	}
	if name, port, has := strings.Cut(host, ":"); has {
		return name == "example.net" && validPort(port)
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	n := len(labels)
	if len(host) > 253 || n < 2 {
		return false
	}
	switch labels[n-2] + "." + labels[n-1] {
	case "example.com":
		return n <= 3
	case "example.org":
		return n >= 3
	case "example.net":
		return n == 2
	}
	return false
}

func validPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' || s == "443" || strings.Trim(s, "0123456789") != "" {
		return false
	}
	return len(s) < 5 || s <= "65535"
}

// FuzzNew looks for a pattern that is accepted and admits more than it says.
func FuzzNew(f *testing.F) {
	for _, s := range []string{"https://example.com", "https://*.example.com:*", "https://**.example.com:8443", "http://[::1]:*", "http://localhost", "app+x://a_b", "https://*"} {
		f.Add(s, "https://a.example.com")
	}
	f.Fuzz(func(t *testing.T, pattern, origin string) {
		m, err := corsmw.New(corsmw.Config{Origins: []string{pattern}, Credentials: true})
		if err != nil {
			return
		}
		h := m.Handler(answer(200))
		allowed := func(o string) bool { return len(ask(h, "GET", "Origin", o).Header["Access-Control-Allow-Origin"]) > 0 }
		if !strings.Contains(pattern, "*") {
			require.True(t, allowed(pattern))
			require.Equal(t, origin == pattern, allowed(origin))
			return
		}
		require.False(t, allowed(pattern), "a pattern is no origin")
		if allowed(origin) {
			scheme, rest, _ := strings.Cut(pattern, "://")
			host := strings.TrimLeft(strings.TrimSuffix(rest, ":*"), "*")
			require.True(t, strings.HasPrefix(origin, scheme+"://"))
			require.Contains(t, origin, host)
			require.NotContains(t, strings.TrimPrefix(origin, scheme+"://"), "/")
		}
	})
}
