package audience

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/caller"
	"github.com/hlsproxy/hlsproxy/internal/cmcd"
)

// By says how a viewer is identified.
type By uint8

// The values of By.
const (
	ByAddress By = iota // by its address (of IPv6 the first 64 bits) and User-Agent
	ByCMCD              // by the session id that its player sends
	ByName              // by the result of Audience.Session
)

// String is "address", "cmcd" or "name".
func (b By) String() string { return byTexts[b] }

var byTexts = [...]string{ByAddress: "address", ByCMCD: "cmcd", ByName: "name"}

// MarshalText is String: JSON has the word.
func (b By) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText writes. Anything else is an error.
func (b *By) UnmarshalText(text []byte) (err error) {
	*b, err = valueOf[By](byTexts[:], text)
	return err
}

// valueOf is the value whose text this is.
func valueOf[T ~uint8](texts []string, text []byte) (T, error) {
	i := slices.Index(texts, string(text))
	if i < 0 {
		return 0, fmt.Errorf("audience: %q is none of %s", text, strings.Join(texts, ", "))
	}
	return T(i), nil
}

// id stands for a viewer: a hash with a random seed of each Audience. Nobody can make two viewers collide on purpose:
// collisions depend on the seed, which never leaves the process, and no answer shows a hash. By chance, two of 100,000 sessions
// collide with a probability below one in a billion.
type id uint64

// viewer is the sender of a request.
type viewer struct {
	id      id
	by      By
	name    string // empty unless it is identified by one
	located bool   // the following fields are set
	place   uint64 // hash of the address and User-Agent
	host    string // an IPv4 address in text, which is then parsed only when needed
	addr    netip.Addr
}

// maxName is how many bytes of a name are shown.
const maxName = 64

// identify fills v, which is zero. Fields that a known session does not need are left to locate.
//
// A session id follows a player that changes its address. Under a limit it does not: otherwise players that send the id of
// another, or all players of an account with the same id, would count as one.
func (v *viewer) identify(a *Audience, r *http.Request, told *cmcd.Data) {
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
	v.locate(a, r)
	v.id ^= id(v.place)
}

// locate determines where the viewer is.
func (v *viewer) locate(a *Audience, r *http.Request) {
	if v.located {
		return
	}
	v.located = true
	agent := ""
	if lines := r.Header["User-Agent"]; len(lines) > 0 {
		agent = lines[0]
	}
	v.place = bits.RotateLeft64(maphash.String(a.seed, agent), 1)
	if host, ok := hostOf(r.RemoteAddr); ok && a.Proxies == nil { // the common case
		v.host = host
		v.place ^= maphash.String(a.seed, host)
		return
	}
	v.addr = caller.Network(caller.Addr(r, a.Proxies))
	var buf [64]byte
	v.place ^= maphash.Bytes(a.seed, v.addr.AppendTo(buf[:0]))
}

// hostOf is the host of a remote address, if it is an IPv4 address as net/http writes it.
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

// network is the network of a located viewer.
func (v *viewer) network() netip.Addr {
	if v.host != "" {
		return caller.Parse(v.host)
	}
	return v.addr
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
