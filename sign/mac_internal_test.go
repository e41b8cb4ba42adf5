package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheShortWayToAMACIsThatOfRFC2104(t *testing.T) {
	for _, size := range []int{16, 63, 64, 65, 200} {
		key := newRingKey(Key{Secret: bytes.Repeat([]byte{0xa5}, size)})
		require.True(t, key.midway(), "crypto/sha256 marshals its state in another form")
		for n := range 300 {
			message := bytes.Repeat([]byte{byte(n)}, n)
			h := hmac.New(sha256.New, bytes.Repeat([]byte{0xa5}, size))
			h.Write(message)
			got := key.authenticate(message)
			require.Equal(t, h.Sum(nil)[:macSize], got.append(nil))
			require.Equal(t, got, key.plainly(message))
		}
	}
}

func TestAnUnknownFormOfStatesIsNotUsed(t *testing.T) {
	key := newRingKey(Key{Secret: []byte("0123456789abcdef")})
	want := key.authenticate([]byte("message"))
	for name, broken := range map[string]*ringKey{
		"none":  {secret: key.secret},
		"inner": {secret: key.secret, outer: key.outer},
		"outer": {secret: key.secret, inner: key.inner},
	} {
		require.False(t, broken.midway(), name)
		require.Equal(t, want, broken.authenticate([]byte("message")), name)
	}
	swapped := &ringKey{secret: key.secret, inner: key.outer, outer: key.inner}
	require.False(t, swapped.isRight(), "a wrong way is noticed")
	require.True(t, key.isRight())
}

func FuzzAuthenticate(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("message"))
	f.Fuzz(func(t *testing.T, secret, message []byte) {
		key := newRingKey(Key{Secret: secret})
		require.Equal(t, key.plainly(message), key.authenticate(bytes.Clone(message)))
	})
}
