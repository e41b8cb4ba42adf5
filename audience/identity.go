package audience

import (
	"encoding/hex"
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

// id stands for a viewer: 128 bits of two hashes under seeds that each Audience draws for itself. Nobody can make two
// viewers one on purpose: what collides depends on the seeds, which never leave the process, and no answer to a viewer
// shows a hash. By chance, two of 100,000 sessions are one with a probability below one in a billion.
type id [2]uint64

// viewer is who asks.
type viewer struct {
	id    id
	by    By
	name  string     // where it is known by one that need not be copied
	host  string     // of an IPv4 address that need not be read for each request
	addr  netip.Addr // where there is no host
	place uint64     // of the address and User-Agent
}

const maxName = 64

// identify fills v in, which is zero.
func (a *Audience) identify(v *viewer, r *http.Request, told *cmcd.Data) {
	agent := ""
	if lines := r.Header["User-Agent"]; len(lines) > 0 {
		agent = lines[0]
	}
	h := maphash.String(a.seeds[0], agent)
	if host, ok := hostOf(r.RemoteAddr); ok && a.Proxies == nil { // nearly all there is
		v.host = host
		v.id = a.placed(maphash.String(a.seeds[0], host), maphash.String(a.seeds[1], host), h)
	} else {
		v.addr = a.client(r)
		var buf [64]byte
		at := v.addr.AppendTo(buf[:0])
		v.id = a.placed(maphash.Bytes(a.seeds[0], at), maphash.Bytes(a.seeds[1], at), h)
	}
	v.place = v.id[0]
	if a.Session != nil {
		if name := a.Session(r); name != "" {
			v.by, v.name = ByName, name[:min(len(name), maxName)]
			for i, seed := range a.seeds {
				v.id[i] = bits.RotateLeft64(maphash.String(seed, name), 2)
			}
			return
		}
	}
	if sid := told.Session.Bytes(); len(sid) > 0 {
		v.by = ByCMCD
		for i, seed := range a.seeds {
			v.id[i] = bits.RotateLeft64(maphash.Bytes(seed, sid), 3)
		}
	}
}

func (a *Audience) placed(x, y, agent uint64) id {
	return id{x ^ bits.RotateLeft64(agent, 1), y ^ bits.RotateLeft64(agent, 5)}
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

// network is where the viewer is.
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
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(s.id[0]>>(8*i)), byte(s.id[1]>>(8*i))
	}
	return hex.EncodeToString(b[:]) + "-" + strconv.FormatUint(s.serial, 36)
}

func parseID(s string) (who id, serial uint64, ok bool) {
	digits, rest, found := strings.Cut(s, "-")
	b, err := hex.DecodeString(digits)
	serial, errSerial := strconv.ParseUint(rest, 36, 64)
	if !found || err != nil || len(b) != 16 || errSerial != nil {
		return id{}, 0, false
	}
	for i := range 8 {
		who[0] |= uint64(b[i]) << (8 * i)
		who[1] |= uint64(b[8+i]) << (8 * i)
	}
	return who, serial, true
}
