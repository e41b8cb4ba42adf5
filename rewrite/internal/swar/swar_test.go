package swar_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
	"github.com/stretchr/testify/require"
)

// Every byte is found or not, whatever place it has and whatever stands beside it.
func TestEachByteInEachPlace(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	in := func(set string) func(byte) bool { return func(c byte) bool { return strings.IndexByte(set, c) >= 0 } }
	for name, f := range map[string]struct {
		find func(uint64) uint64
		want func(byte) bool
	}{
		"ToEscape":  {swar.ToEscape, func(c byte) bool { return !in(letters + "0123456789-._")(c) }},
		"Plain":     {swar.Plain, in(letters + "0123456789-")},
		"Digits":    {swar.Digits, in("0123456789")},
		"HexDigits": {swar.HexDigits, in("0123456789abcdefABCDEF")},
		"NonZero":   {swar.NonZero, func(c byte) bool { return c != 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, filler := range []byte("\x00A0~\x7f\x80\xff") {
				for c := range 256 {
					for at := range swar.Size {
						s := bytes.Repeat([]byte{filler}, swar.Size)
						s[at] = byte(c)
						var want uint64
						for i, b := range s {
							if f.want(b) {
								want |= 0x80 << (8 * i)
							}
						}
						require.Equal(t, want, f.find(swar.Load(s, 0)), "%q", s)
					}
				}
			}
		})
	}
}

// OddInQuery may find too much, but nothing that has a meaning may pass.
func TestNothingOddInAQueryIsPassedOver(t *testing.T) {
	for c := range 256 {
		b := byte(c)
		odd := b <= ' ' || b >= 0x7f || strings.IndexByte("\"#&'<>\\^`{|}", b) >= 0
		for at := range swar.Size {
			found := swar.OddInQuery('a'*swar.Ones&^(0xff<<(8*at))|uint64(b)<<(8*at)) >> (8*at + 7) & 1
			if odd {
				require.EqualValues(t, 1, found, "%q", b)
			}
			if strings.IndexByte("abcxyz0189", b) >= 0 {
				require.Zero(t, found, "%q", b)
			}
		}
	}
}

// Below says whether there is one, and may be wrong about which.
func TestBelow(t *testing.T) {
	for c := range uint64(256) {
		for at := range swar.Size {
			for _, n := range []uint64{1, '#', 0x7f} {
				w := 0x7f*swar.Ones&^(0xff<<(8*at)) | c<<(8*at)
				require.Equal(t, c < n, swar.Below(w, n) != 0, "%d below %d", c, n)
			}
		}
	}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct {
		i, start, end int
		want          uint64
	}{
		{0, 0, 8, ^uint64(0)}, {8, 0, 100, ^uint64(0)}, {0, 3, 5, 0xffff << 24}, {8, 3, 10, 0xffff}, {8, 15, 20, 0xff << 56},
		{8, 0, 8, 0}, {8, 16, 20, 0}, {0, 5, 5, 0}, {0, 5, 3, 0},
	} {
		require.Equal(t, c.want, swar.Between(c.i, c.start, c.end), c)
	}
}

func TestStoreIsWhatLoadReads(t *testing.T) {
	s := []byte("0123456789abcdef")
	swar.Store(s, 5, swar.Load([]byte("ABCDEFGH"), 0))
	require.Equal(t, "01234ABCDEFGHdef", string(s))
}
