package serve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/stretchr/testify/require"
)

// keyFile writes a key of any kind.
func keyFile(t *testing.T, kind string, raw []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
	return file
}

func TestKeysInEachForm(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for kind, raw := range map[string][]byte{"EC PRIVATE KEY": sec1, "PRIVATE KEY": pkcs8} {
		got, err := serve.ReadPrivateKey(keyFile(t, kind, raw))
		require.NoError(t, err, kind)
		require.True(t, key.Equal(got))
	}
}

func TestSaysWhatIsNoPrivateKey(t *testing.T) {
	for _, kind := range []string{"PUBLIC KEY", "CERTIFICATE", "ENCRYPTED PRIVATE KEY"} {
		_, err := serve.ReadPrivateKey(keyFile(t, kind, []byte("x")))
		require.ErrorContains(t, err, strings.ToLower(kind))
	}
}
