package audience

import (
	"hash/maphash"
	"math/bits"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

// By is what a viewer is known by.
type By uint8

// The ways.
const (
	ByAddress By = iota // its address (of IPv6 the first 64 bits) and User-Agent
	ByCMCD              // the session id that its player sends
	ByName              // what Audience.Session says
)

// String is "address", "cmcd" or "name".
func (b By) String() string { return [...]string{"address", "cmcd", "name"}[b] }

// id stands for a viewer: a hash under a seed that each Audience draws for itself. Nobody can make two viewers one on
// purpose: what collides depends on the seed, which never leaves the process, and no answer to a viewer shows a hash. By
// chance, two of 100,000 sessions are one with a probability below one in a billion.
type id uint64

// viewer is who asks.
type viewer struct {
	id      id
	by      By
	name    string // where it is known by one
	located bool   // what follows is set
	place   uint64 // of the address and User-Agent
	host    string // of an IPv4 address that need not be read for each request
	addr    netip.Addr
}

// maxName is how many bytes of a name are shown.
const maxName = 64

// identify fills v in, which is zero. What a known session does not need is left to locate.
//
// A session id goes along with a player that changes its address. Not so under a limit: players that give the id of another, or
// all the players of one account with the same id, would be counted as one.
func (a *Audience) identify(v *viewer, r *http.Request, told *cmcd.Data) {
	if a.Session != nil {
		if v.name = a.Session(r); v.name != "" {
			v.by, v.id = ByName, id(bits.RotateLeft64(maphash.String(a.seed, v.name), 2))
			return
		}
	}
	if sid := told.Session.Bytes(); len(sid) > 0 {
		v.by, v.id = ByCMCD, id(bits.RotateLeft64(maphash.Bytes(a.seed, sid), 3))
		if a.Limit == nil {
			return
		}
	}
	a.locate(v, r)
	v.id ^= id(v.place)
}

// locate finds out where the viewer is.
func (a *Audience) locate(v *viewer, r *http.Request) {
	if v.located {
		return
	}
	v.located = true
	agent := ""
	if lines := r.Header["User-Agent"]; len(lines) > 0 {
		agent = lines[0]
	}
	v.place = bits.RotateLeft64(maphash.String(a.seed, agent), 1)
	if host, ok := hostOf(r.RemoteAddr); ok && a.Proxies == nil { // nearly all there is
		v.host = host
		v.place ^= maphash.String(a.seed, host)
		return
	}
	v.addr = a.client(r)
	var buf [64]byte
	v.place ^= maphash.Bytes(a.seed, v.addr.AppendTo(buf[:0]))
}

// hostOf is the host of a remote address that is an IPv4 one, as net/http writes it.
func hostOf(remote string) (host string, ok bool) {
	for i := range len(remote) {
		switch c := remote[i]; {
		case c == ':':
			return remote[:i], i >= len("0.0.0.0")
		case c != '.' && c-'0' > 9:
			return "", false
		}
	}
	return "", false
}

// network is where a viewer is that was located.
func (v *viewer) network() netip.Addr {
	if v.host != "" {
		return parseAddr(v.host)
	}
	return v.addr
}

// client is the network of who asks: an IPv4 address, or the first 64 bits of an IPv6 one.
func (a *Audience) client(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	var lines []string
	if a.trusts(addr) {
		lines = r.Header["X-Forwarded-For"]
	}
	for i := len(lines) - 1; i >= 0 && a.trusts(addr); i-- {
		for line, more := lines[i], true; more && a.trusts(addr); {
			hop := line
			cut := strings.LastIndexByte(line, ',')
			if more = cut >= 0; more {
				line, hop = line[:cut], line[cut+1:]
			}
			if addr = parseAddr(strings.TrimSpace(hop)); !addr.IsValid() {
				return netip.Addr{} // whoever stands before it may have written anything
			}
		}
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

func (a *Audience) trusts(addr netip.Addr) bool {
	return a.Proxies != nil && slices.ContainsFunc(a.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without a port; the zero Addr if it is none.
func parseAddr(s string) netip.Addr {
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p.Addr().WithZone("").Unmap()
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.WithZone("").Unmap()
}

func (s *session) publicID() string {
	var b [16 + 1 + 13]byte
	for i := range 16 {
		b[i] = "0123456789abcdef"[s.id>>(60-4*i)&15]
	}
	return string(strconv.AppendUint(append(b[:16], '-'), s.serial, 36))
}

func parseID(s string) (who id, serial uint64, ok bool) {
	digits, rest, found := strings.Cut(s, "-")
	n, err := strconv.ParseUint(digits, 16, 64)
	serial, errSerial := strconv.ParseUint(rest, 36, 64)
	return id(n), serial, found && err == nil && len(digits) == 16 && errSerial == nil
}
