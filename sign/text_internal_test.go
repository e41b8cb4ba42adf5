package sign

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendTextKnowsEachLetter(t *testing.T) {
	for n := range 64 {
		raw := make([]byte, 9)
		for place := range 12 {
			for i := range raw {
				raw[i] = byte(n * 37)
			}
			bit := place * 6
			raw[bit/8] = raw[bit/8]&^(0xfc>>(bit%8)) | byte(n<<2>>(bit%8))
			if rest := bit%8 - 2; rest > 0 {
				raw[bit/8+1] = raw[bit/8+1]&^(0xff<<(8-rest)) | byte(n<<(8-rest))
			}
			got := appendText([]byte("x"), raw)
			require.Equal(t, "x"+base64url.EncodeToString(raw), string(got))
			require.Equal(t, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[n], got[1+place])
		}
	}
}

func FuzzAppendText(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\xff\xef\xbe\x00\x10\x83\x10\x51\x87\x20"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.Equal(t, base64url.EncodeToString(raw), string(appendText(nil, raw)))
	})
}
