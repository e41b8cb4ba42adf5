package origin

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// tunnel makes a connection to a target through Via.
func (g *Guard) tunnel(ctx context.Context, network, host, port string) (net.Conn, error) {
	if g.viaResolve {
		address, err := g.resolve(ctx, host, portNumber(port))
		if err != nil {
			return nil, err
		}
		host = address
	}
	conn, err := g.dialVia(ctx, network)
	if err != nil {
		return nil, err
	}
	// The context ends what waits for the proxy.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_ = conn.SetDeadline(time.Now().Add(dialLimit))
	if g.via.Scheme == "http" || g.via.Scheme == "https" {
		err = g.connectTo(conn, net.JoinHostPort(host, port))
	} else {
		err = g.socks(conn, host, portNumber(port))
	}
	if !stop() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("origin: no way through Guard.Via: %w", err)
	}
	return conn, conn.SetDeadline(time.Time{})
}

// connectTo asks an HTTP proxy for a tunnel (RFC 9110 section 9.3.6).
func (g *Guard) connectTo(conn net.Conn, target string) error {
	ask := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if u := g.via.User; u != nil {
		password, _ := u.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, ask+"\r\n"); err != nil {
		return err
	}
	from := bufio.NewReader(io.LimitReader(conn, 16<<10))
	resp, err := http.ReadResponse(from, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the proxy says %d", resp.StatusCode)
	}
	if from.Buffered() > 0 {
		return errors.New("the proxy says more than it was asked")
	}
	return nil
}

// socks asks a SOCKS5 proxy for a tunnel (RFC 1928, and RFC 1929 for the password).
func (g *Guard) socks(conn net.Conn, host string, port uint16) error {
	user, password := "", ""
	if u := g.via.User; u != nil {
		user = u.Username()
		password, _ = u.Password()
	}
	if len(user) > 255 || len(password) > 255 || len(host) > 255 {
		return errors.New("too long a name for SOCKS5")
	}
	methods := []byte{5, 1, 0}
	if user != "" {
		methods = []byte{5, 2, 0, 2}
	}
	var answer [4]byte
	if err := exchange(conn, methods, answer[:2]); err != nil {
		return err
	}
	switch {
	case answer[0] != 5:
		return errors.New("the proxy does not speak SOCKS5")
	case answer[1] == 2 && user != "":
		login := append(append(append([]byte{1, byte(len(user))}, user...), byte(len(password))), password...)
		if err := exchange(conn, login, answer[:2]); err != nil {
			return err
		}
		if answer[1] != 0 {
			return errors.New("the proxy refuses the password")
		}
	case answer[1] != 0:
		return errors.New("the proxy wants another way to log in")
	}
	ask := append(append([]byte{5, 1, 0, 3, byte(len(host))}, host...), byte(port>>8), byte(port))
	if a, err := netip.ParseAddr(host); err == nil {
		kind := byte(1)
		if a.Is6() {
			kind = 4
		}
		ask = append(append([]byte{5, 1, 0, kind}, a.AsSlice()...), byte(port>>8), byte(port))
	}
	if err := exchange(conn, ask, answer[:4]); err != nil {
		return err
	}
	if answer[1] != 0 {
		return fmt.Errorf("the proxy says %d", answer[1])
	}
	return skipBound(conn, answer[3])
}

// skipBound reads the address from which the proxy connects. Nobody needs it.
func skipBound(conn net.Conn, kind byte) error {
	n := 0
	switch kind {
	case 1:
		n = net.IPv4len
	case 4:
		n = net.IPv6len
	case 3:
		var length [1]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		n = int(length[0])
	default:
		return errors.New("the proxy does not speak SOCKS5")
	}
	_, err := io.CopyN(io.Discard, conn, int64(n)+2)
	return err
}

func exchange(conn net.Conn, ask, answer []byte) error {
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, answer)
	return err
}
