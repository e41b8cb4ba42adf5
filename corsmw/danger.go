package corsmw

import (
	"net/netip"
	"slices"
	"strings"
)

// danger returns why p is refused although it is well formed, "" if it is not.
func (p *pattern) danger(c Config) string {
	if p.scheme == "http://" && !c.DangerouslyAllowInsecure && !p.loopback() {
		switch {
		case p.depth != 0 || p.port == anyPort:
			return "is a pattern over http: whoever sits on the network can speak for all of it"
		case c.Credentials:
			return "is http, and whoever sits on the network could act for its visitors with their credentials"
		}
	}
	if p.depth != 0 && !c.DangerouslyAllowPublicSuffixes && publicSuffix(p.host[1:]) {
		return "spans names of unrelated owners"
	}
	return ""
}

// loopback reports whether p is this machine, as with pages under development.
func (p *pattern) loopback() bool {
	name := strings.Trim(p.host, "[]")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback() && p.depth == 0
}

// publicSuffix reports whether names below host belong to unrelated owners. It knows top-level domains, the usual second level
// of country domains, and large hosting services: enough to catch a mistake, without the megabyte of the Public Suffix List.
func publicSuffix(host string) bool {
	first, rest, ok := strings.Cut(host, ".")
	if !ok {
		return true
	}
	if len(rest) == 2 && slices.Contains(secondLevel(), first) {
		return true
	}
	return slices.Contains(hosting(), host)
}

func secondLevel() []string {
	return []string{
		"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "govt", "gv", "id", "info", "ltd", "me", "mil", "ne", "net",
		"nhs", "nom", "or", "org", "plc", "police", "sch",
	}
}

func hosting() []string {
	return []string{
		"amazonaws.com", "appspot.com", "azureedge.net", "azurewebsites.net", "b-cdn.net", "blogspot.com", "cloudfront.net",
		"cloudfunctions.net", "deno.dev", "firebaseapp.com", "fly.dev", "github.io", "gitlab.io", "glitch.me",
		"herokuapp.com", "netlify.app", "ngrok-free.app", "ngrok.app", "ngrok.io", "onrender.com", "pages.dev",
		"r2.dev", "repl.co", "run.app", "s3.amazonaws.com", "surge.sh", "trycloudflare.com", "vercel.app", "web.app",
		"windows.net", "workers.dev",
	}
}
