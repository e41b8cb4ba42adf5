package origin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// localNames are the top-level names for local machines, or for nothing at all (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC
// 9476, and the name that ICANN reserves for private use).
var localNames = []string{"local", "internal", "localdomain", "home.arpa", "onion", "alt", "invalid"}

// loopbackNames are localhost (RFC 6761 section 6.3) and its spellings in common hosts files.
var loopbackNames = []string{"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}

// canonicalName returns a host name in lower case without its final dot. It returns false unless the name consists of letters,
// digits, hyphens (RFC 1123 section 2.1) and underscores, which the DNS allows (RFC 2181 section 11). It also returns false for
// names that a resolver might read as a number: 127.1, 0x7f.1, 2130706433.
func canonicalName(host string) (string, bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return "", false
		}
	}
	return host, !wire.EndsInNumber(host)
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// under reports whether a canonical name is one of the names or below one.
func under(name string, names []string) bool {
	for _, n := range names {
		if rest, ok := strings.CutSuffix(name, n); ok && (rest == "" || strings.HasSuffix(rest, ".")) {
			return true
		}
	}
	return false
}

// named reports whether Hosts lists this host. Both are canonical.
func named(hosts []string, host string) bool {
	for _, pattern := range hosts {
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix) || pattern == host {
			return true
		}
	}
	return false
}

// ports is the parsed form of GuardConfig.Ports.
type ports struct {
	ranges []portRange
	text   string // as configured
}

type portRange struct{ first, last uint16 }

// decoys are ports of services that understand enough of an HTTP request to be harmed or identified by it: the ports that
// browsers refuse (Fetch, "bad port"), and those of common databases and control planes.
var decoys = []uint16{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115,
	117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 500, 502, 512, 513, 514, 515, 526, 530, 531, 532, 540, 543,
	544, 548, 554, 556, 563, 587, 601, 623, 631, 636, 873, 989, 990, 993, 995, 1099, 1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181,
	2375, 2376, 2377, 2379, 2380, 3268, 3269, 3306, 3389, 3659, 4045, 4190, 4369, 4786, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 5901, 5984,
	5985, 5986, 6000, 6066, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 7001, 7199, 7473, 7474, 7547, 7687,
	8291, 8500, 8600, 8883, 9042, 9092, 9160, 9200, 9300, 9418, 10080, 10250, 10255, 10256, 11211, 15672, 25672, 26257, 27017, 27018, 27019, 28015, 50070,
}

// ports parses a list. Nil stays nil.
func (f *faults) ports(list []string) *ports {
	if list == nil {
		return nil
	}
	p := &ports{text: strings.Join(list, ", ")}
	for _, s := range list {
		if s == "all" {
			p.ranges = append(p.ranges, portRange{1, 65535})
			continue
		}
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		first, ok1 := wire.ParsePort(from)
		last, ok2 := wire.ParsePort(to)
		if !ok1 || !ok2 || first > last {
			f.add("Ports", s, `is neither a port, nor a range such as "8000-8999", nor "all"`)
			continue
		}
		p.ranges = append(p.ranges, portRange{first, last})
	}
	return p
}

// open reports whether a port may be reached.
func (p *ports) open(port uint16) bool {
	if p == nil {
		return port == 80 || port == 443
	}
	return slices.ContainsFunc(p.ranges, func(r portRange) bool {
		inside := r.first <= port && port <= r.last
		return inside && (r.first == r.last || !slices.Contains(decoys, port))
	})
}

// refusal tells the operator why a port is not open.
func (p *ports) refusal(port uint16) error {
	detail := fmt.Sprintf("port %d is not in Guard.Ports (80 and 443)", port)
	if p != nil {
		detail = fmt.Sprintf("port %d is not in Guard.Ports (%s)", port, p.text)
		if slices.Contains(decoys, port) {
			detail += "; it is one that attackers look for, so it must be named by itself"
		}
	}
	return &ForbiddenError{Reason: "port is not in Guard.Ports", Detail: detail}
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
	// globalUnicast is the part of IPv6 that IANA assigns; the rest is unassigned.
	globalUnicast = netip.MustParsePrefix("2000::/3")
)

type block struct {
	prefix netip.Prefix
	what   string
}

// special4 is the IANA IPv4 Special-Purpose Address Registry, multicast, and addresses in public space that clouds use
// internally. It includes blocks that the registry calls globally reachable (AS112, AMT): they hold no media.
var special4 = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network (RFC 791)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private address (RFC 1918)"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address (RFC 6598)"},
	{loopback4, "loopback address (RFC 1122)"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud platform address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local address (RFC 3927)"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private address (RFC 1918)"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignment (RFC 6890)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation address (RFC 5737)"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112 (RFC 7535)"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT (RFC 7450)"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay (RFC 7526)"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private address (RFC 1918)"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112 (RFC 7534)"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking address (RFC 2544)"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation address (RFC 5737)"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation address (RFC 5737)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast address (RFC 5771)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved address (RFC 1112)"},
}

// special6 is the IANA IPv6 Special-Purpose Address Registry and unicast space that was given back. Several of these addresses
// contain an IPv4 address, to which a translator would connect beyond the guard.
var special6 = []block{
	{netip.MustParsePrefix("::/128"), "unspecified address (RFC 4291)"},
	{loopback6, "loopback address (RFC 4291)"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible address (RFC 4291)"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped address (RFC 4291)"},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64 (RFC 6052)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64 (RFC 8215)"},
	{netip.MustParsePrefix("100::/64"), "discard-only address (RFC 6666)"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy prefix (RFC 9780)"},
	{netip.MustParsePrefix("2001::/32"), "Teredo (RFC 4380)"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignment (RFC 2928)"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation address (RFC 3849)"},
	{netip.MustParsePrefix("2002::/16"), "6to4 (RFC 3056)"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112 (RFC 7534)"},
	{netip.MustParsePrefix("3fff::/20"), "documentation address (RFC 9637)"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing (RFC 9602)"},
	{netip.MustParsePrefix("fc00::/7"), "unique local address (RFC 4193)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local address (RFC 4291)"},
	{netip.MustParsePrefix("fec0::/10"), "site-local address (RFC 3879)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast address (RFC 4291)"},
}

// special says why an address is not public, "" if it is. The address has no zone and is not an IPv4-mapped one.
func special(a netip.Addr) string {
	table := special6
	if a.Is4() {
		table = special4
	}
	for i := range table {
		if table[i].prefix.Contains(a) {
			return table[i].what
		}
	}
	if a.Is4() {
		return ""
	}
	if !globalUnicast.Contains(a) {
		return "unallocated address (RFC 4291)"
	}
	// An ISATAP interface identifier tunnels to the IPv4 address that follows it.
	if b := a.As16(); b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return "ISATAP (RFC 5214)"
	}
	return ""
}
