package origin

import "net/netip"

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
	// globalUnicast is all of IPv6 that IANA gives out; the rest is nobody's.
	globalUnicast = netip.MustParsePrefix("2000::/3")
)

type block struct {
	prefix netip.Prefix
	what   string
}

// special4 is the IANA IPv4 Special-Purpose Address Registry, multicast, and what clouds keep for themselves inside
// public space. Blocks that the registry calls globally reachable (AS112, AMT) are here, too: no media lives there.
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

// special6 is the IANA IPv6 Special-Purpose Address Registry and the unicast space that was given back. Several of
// these carry an IPv4 address that a translator would unpack where no guard sees it.
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

// special says why an address is not a public one; "" for a public one. The address has no zone and is not mapped.
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
