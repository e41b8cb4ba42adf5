package origin

import (
	"net"
	"net/http"
)

// reset breaks a connection on which a body ends where the connection does, as with HTTP/1.0 (RFC 9112 section 6.3): an
// orderly end would make a whole of half a body, also for a proxy that keeps it.
func (v *viewer) reset() {
	conn, _, err := http.NewResponseController(v.ResponseWriter).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	below := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		below = t.NetConn()
	}
	if tcp, ok := below.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
