package hammer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"
)

// Over is the protocol of an answer.
type Over string

// The values of Load.Over.
const (
	Plain Over = "plain"
	TLS   Over = "tls" // HTTP/1.1 over TLS 1.3
	HTTP2 Over = "h2"  // over TLS 1.3, one request at a time on each connection
)

// Parse reads the value of a flag.
func (o *Over) Parse(s string) error {
	switch *o = Over(s); *o {
	case Plain, TLS, HTTP2:
		return nil
	}
	return fmt.Errorf("%q is none of plain, tls and h2", s)
}

// Certificate returns a new certificate that is its own issuer, and its key, both as PEM.
func Certificate() (c tls.Certificate, pems []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"bench"}, NotAfter: time.Now().Add(24 * time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return c, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, nil, err
	}
	pems = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})
	pems = append(pems, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	c, err = tls.X509KeyPair(pems, pems)
	return c, pems, err
}

// The client offers one cipher, so that it is the same for all servers.
var clientTLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}

// overTLS asks on one HTTP/1.1 connection.
func (l Load) overTLS(addr string) (ask func(buf []byte) error, hangUp func(), err error) {
	conn, err := tls.Dial("tcp", addr, clientTLS)
	if err != nil {
		return nil, nil, err
	}
	request := l.request()
	return func(buf []byte) error {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write(request); err != nil {
			return err
		}
		for got := 0; got < len(buf); {
			n, err := conn.Read(buf[got:])
			if err != nil {
				return err
			}
			got += n
			i := bytes.Index(buf[:got], []byte("\r\n\r\n"))
			if i < 0 {
				continue
			}
			if length, err := lengthOf(buf[:i]); err != nil || length != l.Bytes {
				return fmt.Errorf("answer of %d bytes, not %d: %w\n%s", length, l.Bytes, err, buf[:i])
			}
			for left := l.Bytes - int64(got-i-4); left > 0; left -= int64(n) {
				if n, err = conn.Read(buf[:min(left, int64(len(buf)))]); err != nil {
					return err
				}
			}
			return nil
		}
		return errors.New("header too long")
	}, func() { conn.Close() }, nil
}

// overHTTP2 asks on one connection, one stream after the other.
func (l Load) overHTTP2(addr string) (ask func(buf []byte) error, hangUp func(), err error) {
	t := &http.Transport{TLSClientConfig: clientTLS.Clone(), ForceAttemptHTTP2: true}
	r, err := http.NewRequest(http.MethodGet, "https://"+addr+l.Path, nil)
	if err != nil {
		return nil, nil, err
	}
	if name, value, ok := bytes.Cut(bytes.TrimSpace([]byte(l.Header)), []byte(": ")); ok {
		r.Header.Set(string(name), string(value))
	}
	return func(buf []byte) error {
		resp, err := t.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
		if err == nil && (n != l.Bytes || resp.ProtoMajor != 2 || resp.StatusCode/10 != 20) {
			err = fmt.Errorf("%s %s with %d bytes, not %d", resp.Proto, resp.Status, n, l.Bytes)
		}
		return err
	}, t.CloseIdleConnections, nil
}
