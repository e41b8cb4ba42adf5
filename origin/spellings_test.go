package origin_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// spellings are ways to write an IPv4 address. Some parser, resolver, translator or tunnel understands each of them.
func spellings(a [4]byte) []string {
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	dotted, hi, lo := netip.AddrFrom4(a).String(), n>>16, n&0xffff
	out := []string{
		dotted, dotted + ".", "%20" + dotted, dotted + "%00", dotted + "%2e",
		fmt.Sprint(n), fmt.Sprint(uint64(n) + 1<<32), fmt.Sprintf("0x%x", n), fmt.Sprintf("0X%08X", n), fmt.Sprintf("0%o", n),
		fmt.Sprintf("%d.%d", a[0], n&0xffffff), fmt.Sprintf("%d.%d.%d", a[0], a[1], lo), fmt.Sprintf("0%o.0x%x", a[0], n&0xffffff),
		fmt.Sprintf("0%o.0%o.0%o.0%o", a[0], a[1], a[2], a[3]), fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", a[0], a[1], a[2], a[3]),
		fmt.Sprintf("%03d.%03d.%03d.%03d", a[0], a[1], a[2], a[3]), fmt.Sprintf("0x%02X.%d.0%o.%d", a[0], a[1], a[2], a[3]),
		"[" + dotted + "]", "[::" + dotted + "]", "[::ffff:" + dotted + "]", "[::FFFF:" + dotted + "]", "[0:0:0:0:0:ffff:" + dotted + "]",
		"[::ffff:0:" + dotted + "]", "[::ffff:" + dotted + "%25eth0]", "[64:ff9b::" + dotted + "]", "[64:ff9b:1::" + dotted + "]",
		fmt.Sprintf("[2001:0:808:808::%x:%x]", ^hi&0xffff, ^lo&0xffff), // Teredo inverts it
		fmt.Sprintf("[0000:0000:0000:0000:0000:ffff:%04x:%04x]", hi, lo),
	}
	for _, form := range []string{
		"[::%x:%x]", "[::ffff:%x:%x]", "[::ffff:0:%x:%x]", "[64:ff9b::%x:%x]", "[64:ff9b:1:%x:%x::]", "[2002:%x:%x::1]", "[fec0::%x:%x]",
		"[2606:4700::5efe:%x:%x]", "[2606:4700::200:5efe:%x:%x]",
	} {
		out = append(out, fmt.Sprintf(form, hi, lo))
	}
	wide, circled, percent := "", "", ""
	for _, c := range dotted {
		percent += fmt.Sprintf("%%%02x", c)
		switch c {
		case '.':
			wide, circled = wide+"．", circled+"。"
		case '0':
			wide, circled = wide+"０", circled+"⓪"
		default:
			wide, circled = wide+string('０'+c-'0'), circled+string('①'+c-'1')
		}
	}
	return append(out, wide, circled, percent)
}

func TestEverySpellingOfAForbiddenAddress(t *testing.T) {
	g := new(origin.Guard)
	transport := transportOf(t, origin.GuardConfig{})
	tried := 0
	for _, addr := range []string{
		"0.0.0.0", "10.0.0.1", "100.100.100.200", "127.0.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.2.1",
		"192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
	} {
		for _, host := range spellings(netip.MustParseAddr(addr).As4()) {
			for _, raw := range []string{"http://" + host + "/a.m3u8", "HTTPS://" + strings.ToUpper(host) + ":443/"} {
				tried++
				require.Error(t, check(g, raw), raw)
				u, err := url.Parse(raw)
				if err != nil {
					continue
				}
				_, err = transport.RoundTrip((&http.Request{Method: http.MethodGet, URL: u, Host: "a.example"}).WithContext(t.Context()))
				require.Error(t, err, raw)
				require.NotContains(t, err.Error(), addr)
			}
		}
	}
	require.Greater(t, tried, 900)
}
