package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
)

// echo answers each line with itself.
func echo(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, r *relay.Relay) *client {
	c, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &client{c, bufio.NewReader(c)}
}

func (c *client) say(t *testing.T, text string) {
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func (c *client) hear(t *testing.T, want string) {
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	got, err := c.lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestBytesPassUntilTheyAreStopped(t *testing.T) {
	r, err := relay.New(echo(t), nil)
	require.NoError(t, err)
	defer r.Close()
	a, b := dial(t, r), dial(t, r)
	for _, c := range []*client{a, b} {
		c.say(t, "one\r\n")
		c.hear(t, "one\r\n")
	}
	r.Stop(func(from net.Addr) bool { return from.String() == a.LocalAddr().String() })
	a.say(t, "two\r\n")
	b.say(t, "two\r\n")
	b.hear(t, "two\r\n")
	require.NoError(t, a.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = a.lines.ReadByte()
	require.ErrorContains(t, err, "timeout")
	r.Stop(nil)
	a.hear(t, "two\r\n")

	r.StopAll()
	c := dial(t, r)
	c.say(t, "three\r\n")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = c.lines.ReadByte()
	require.ErrorContains(t, err, "timeout", "a new one is stopped, too")
	r.Stop(nil)
	c.hear(t, "three\r\n")
	r.Cut()
	_, err = c.lines.ReadByte()
	require.Error(t, err)
	c = dial(t, r)
	c.say(t, "four\r\n")
	c.hear(t, "four\r\n")
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	_, err = c.lines.ReadByte()
	require.ErrorIs(t, err, io.EOF, "an end is passed on")
}

func TestWholeLinesAreEdited(t *testing.T) {
	r, err := relay.New(echo(t), func(up bool, lines []byte) []byte {
		if up {
			return bytes.ReplaceAll(lines, []byte("aa"), []byte("bb"))
		}
		return bytes.ReplaceAll(lines, []byte("bb"), []byte("cc"))
	})
	require.NoError(t, err)
	defer r.Close()
	c := dial(t, r)
	c.say(t, "xa")
	time.Sleep(10 * time.Millisecond) // or both pieces come as one, which must be right as well
	c.say(t, "ax\r\n")
	c.hear(t, "xccx\r\n")
}
