package origin_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// nameServer is a DNS server on loopback. It gives the answers for a name in turn; the last one stays.
type nameServer struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int // A questions
	delay   time.Duration
}

func newNameServer(t *testing.T, answers map[string][][]string) (*nameServer, *net.Resolver) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{answers: answers, asked: map[string]int{}}
	var wg sync.WaitGroup
	wg.Go(func() { s.serve(conn) })
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return s, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n]); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// answer copies the question and appends the known addresses (RFC 1035 section 4.1).
func (s *nameServer) answer(q []byte) []byte {
	at := 12
	var labels []string
	for at < len(q) && q[at] != 0 {
		end := at + 1 + int(q[at])
		if end >= len(q) {
			return nil
		}
		labels = append(labels, string(q[at+1:end]))
		at = end
	}
	if at+5 > len(q) {
		return nil
	}
	kind := binary.BigEndian.Uint16(q[at+1:])
	out := append([]byte(nil), q[:at+5]...)
	var records []byte
	count := uint16(0)
	addresses, delay := s.lookup(strings.ToLower(strings.Join(labels, ".")), kind)
	time.Sleep(delay)
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		if a.Is4() != (kind == 1) || kind != 1 && kind != 28 {
			continue
		}
		b := a.AsSlice()
		records = append(records, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(b)))
		records = append(records, b...)
		count++
	}
	flags := uint16(0x8180)
	if addresses == nil {
		flags |= 3 // no such name
	}
	binary.BigEndian.PutUint16(out[2:], flags)
	binary.BigEndian.PutUint16(out[6:], count)
	binary.BigEndian.PutUint16(out[8:], 0)
	binary.BigEndian.PutUint16(out[10:], 0)
	return append(out, records...)
}

func (s *nameServer) lookup(name string, kind uint16) ([]string, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	turns := s.answers[name]
	if len(turns) == 0 {
		return nil, s.delay
	}
	turn := min(s.asked[name], len(turns)-1)
	if kind == 1 {
		s.asked[name]++
	}
	return turns[turn], s.delay
}

func (s *nameServer) questions(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}
