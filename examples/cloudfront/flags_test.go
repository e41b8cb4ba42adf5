package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// keyFile writes a key of any kind.
func keyFile(t *testing.T, kind string, raw []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
	return file
}

func TestRefusesToStart(t *testing.T) {
	_, rsaFile := newKey(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(edwards)
	require.NoError(t, err)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	good := []string{"-key-pair-id", "K2", "-key-file", rsaFile, "-origin", "https://d1.cloudfront.net"}
	for name, args := range map[string][]string{
		"nothing":        {"-key-pair-id", "K2", "-key-file", rsaFile},
		"argument":       append(good[:6:6], "x"),
		"flag":           {"-x"},
		"no key":         {"-key-pair-id", "K2", "-origin", "https://d1.cloudfront.net"},
		"no id":          good[2:],
		"no file":        append(good[:6:6], "-key-file", "none"),
		"not a key":      append(good[:6:6], "-key-file", empty),
		"broken key":     append(good[:6:6], "-key-file", keyFile(t, "RSA PRIVATE KEY", nil)),
		"other key":      append(good[:6:6], "-key-file", keyFile(t, "PRIVATE KEY", raw)),
		"no such folder": append(good[:4:4], "-domain", "https://d1.cloudfront.net", "-dir", "none"),
		"two places":     append(good[:6:6], "-domain", "https://d1.cloudfront.net", "-dir", t.TempDir()),
		"scheme":         append(good[:6:6], "-origin", "ftp://h/"),
		"query":          append(good[:6:6], "-domain", "https://h/?x"),
		"ttl":            append(good[:6:6], "-ttl", "1ms"),
		"allow":          append(good[:6:6], "-allow", "x"),
		"address":        append(good[:6:6], "-addr", "x"),
	} {
		var out bytes.Buffer
		require.Error(t, run(t.Context(), args, &out), name)
		require.Empty(t, out.String(), name)
	}
}
