package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// HostPath spells the upstream URL as a path: with HostPath("/x/") the public URL of https://cdn.example:8443/a/seg1.ts
// is /x/https/cdn.example:8443/a/seg1.ts. prefix is an absolute path; it gets a final slash if it has none.
//
// hosts are the hosts that are mapped: "cdn.example" (on any port), "cdn.example:8443" (on this port, also where it is the
// default one and not written), "*.cdn.example" (any name below it, with or without a port as before). IPv6 addresses are in
// brackets. Without hosts, any host is mapped; something else must then decide where requests may go. Case is ignored in
// comparisons, and kept.
//
// The host is never the last element: a URL without a path gets a final slash. Otherwise all hosts would be in one directory,
// and a token for one would open all.
//
// A request for a host that is not mapped fails with 403, and a path that spells no URL with 404. Everything else is as with
// [Prefix].
func HostPath(prefix string, hosts ...string) (Mapper, error) {
	m := &hostMapper{prefix: prefix}
	var errs []error
	if err := checkPublic(prefix); err != nil {
		errs = append(errs, err)
	}
	if !strings.HasSuffix(m.prefix, "/") {
		m.prefix += "/"
	}
	for _, h := range hosts {
		name := strings.TrimPrefix(h, "*.")
		if strings.Contains(name, "*") || !validHost([]byte(name)) || !cleanHost([]byte(name)) || strings.HasSuffix(name, ":") {
			errs = append(errs, fmt.Errorf("rewrite: %q is not a host, *.suffix or host:port", h))
			continue
		}
		m.hosts = append(m.hosts, strings.ToLower(h))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

type hostMapper struct {
	prefix string
	hosts  []string // lower case; none: any
}

func (m *hostMapper) AppendPublic(dst, upstream []byte) ([]byte, error) {
	host, path, ok := splitHTTP(upstream)
	if !ok || !cleanHost(upstream[host:path]) || !m.allowed(upstream[:host-len("://")], upstream[host:path]) {
		return dst, ErrUnmapped
	}
	start := len(dst)
	dst = append(dst, m.prefix...)
	dst = append(dst, upstream[:host-3]...)
	dst = append(dst, '/')
	dst = append(dst, upstream[host:path]...)
	rest := upstream[path:]
	if len(rest) == 0 || rest[0] != '/' {
		dst = append(dst, '/') // otherwise the host would be a file, in one directory with all others
	}
	if dst, ok = appendOdd(dst, rest, 0); !ok {
		return dst[:start], ErrUnmapped
	}
	return dst, nil
}

func (m *hostMapper) Upstream(public *url.URL) (string, error) {
	rest, ok := strings.CutPrefix(public.EscapedPath(), m.prefix)
	if !ok {
		return "", notFound("path outside of the mapped tree")
	}
	scheme, rest, _ := strings.Cut(rest, "/")
	slash := max(strings.IndexByte(rest, '/'), 0)
	host, path := rest[:slash], rest[slash:]
	upstream := []byte(scheme + "://" + host)
	if _, end, ok := splitHTTP(upstream); !ok || end != len(upstream) || !cleanHost([]byte(host)) {
		return "", notFound("path that spells no URL")
	}
	if !m.allowed([]byte(scheme), []byte(host)) {
		return "", &statusError{status: 403, text: "host is not mapped"}
	}
	return appendUpstream(upstream, path, 0, public)
}

// cleanHost reports whether a valid host can be a path element and be read back unchanged.
func cleanHost(host []byte) bool {
	letters := false
	for _, c := range host {
		letters = letters || c != '.'
		if class[c]&(oddPath|percent) != 0 {
			return false
		}
	}
	return letters
}

func (m *hostMapper) allowed(scheme, host []byte) bool {
	if len(m.hosts) == 0 {
		return true
	}
	host = bytes.ToLower(host)
	name, port := splitPort(host)
	if len(port) == 0 {
		port = []byte(wire.DefaultPort(strings.ToLower(string(scheme))))
	}
	for _, pattern := range m.hosts {
		compared := name
		if _, wants := splitPort([]byte(pattern)); wants != nil {
			compared = slices.Concat(name, []byte{':'}, port)
		}
		if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
			if len(compared) > len(suffix) && string(compared[len(compared)-len(suffix):]) == suffix {
				return true
			}
		} else if string(compared) == pattern {
			return true
		}
	}
	return false
}
