package proof_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster/internal/proof"
	"github.com/stretchr/testify/require"
)

var secret = []byte("0123456789abcdef")

func signed(from, to *proof.Keeper, header http.Header) http.Header {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	from.Sign("GET", "/a?b", h, to.ID)
	return h
}

func TestAProofHoldsOnceAndForOneNodeAndAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, other := proof.New(secret), proof.New(secret), proof.New(secret)
		h := signed(a, b, http.Header{"Range": {"bytes=0-1"}})
		h.Set("X-Added", "on the way")
		code, covered, err := b.Check("GET", "/a?b", h)
		require.NoError(t, err)
		require.Equal(t, http.Header{"Range": {"bytes=0-1"}}, covered)
		require.True(t, a.IsReply(b.Reply(code, "200"), code, "200"))
		require.False(t, a.IsReply(b.Reply(code, "200"), code, "404"))
		_, _, err = b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused, "twice")
		_, _, err = other.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused, "at another")
		h = signed(a, b, nil)
		time.Sleep(proof.Window + time.Second)
		_, _, err = b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused, "late")
		h = signed(a, b, http.Header{"Range": {"bytes=0-1"}})
		h.Set("Range", "bytes=0-2")
		_, _, err = b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused, "changed")
		_, _, err = b.Check("GET", "/a?c", signed(a, b, nil))
		require.ErrorIs(t, err, proof.ErrRefused, "another target")
		_, _, err = b.Check("HEAD", "/a?b", signed(a, b, nil))
		require.ErrorIs(t, err, proof.ErrRefused, "another method")
		_, _, err = b.Check("GET", "/a?b", signed(proof.New([]byte("another secret!!")), b, nil))
		require.ErrorIs(t, err, proof.ErrRefused, "another secret")
	})
}

func TestNoFieldIsCoveredTwice(t *testing.T) {
	a, b := proof.New(secret), proof.New(secret)
	h := signed(a, b, http.Header{"A": {"1"}, "B": {"2"}})
	for _, names := range []string{"A,A,B", "B,A", "A,B,B"} {
		h.Set(proof.Signed, names)
		_, _, err := b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused, names)
	}
	h.Set(proof.Signed, "A,B")
	_, _, err := b.Check("GET", "/a?b", h)
	require.NoError(t, err)
}

func TestRequestsMayOvertakeEachOther(t *testing.T) {
	a, b := proof.New(secret), proof.New(secret)
	var sent []http.Header
	for range 1000 {
		sent = append(sent, signed(a, b, nil))
	}
	for i := range sent {
		_, _, err := b.Check("GET", "/a?b", sent[len(sent)-1-i])
		require.NoError(t, err)
	}
	for _, h := range sent {
		_, _, err := b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused)
	}
	for range 1 << 17 { // a number that has left the window is refused, too
		signed(a, b, nil)
	}
	_, _, err := b.Check("GET", "/a?b", signed(a, b, nil))
	require.NoError(t, err)
	for _, h := range sent {
		_, _, err := b.Check("GET", "/a?b", h)
		require.ErrorIs(t, err, proof.ErrRefused)
	}
}

func FuzzCheck(f *testing.F) {
	a, b := proof.New(secret), proof.New(secret)
	h := signed(a, b, http.Header{"Range": {"bytes=0-1"}})
	f.Add(h.Get(proof.Field), h.Get(proof.Signed))
	f.Add("1 aaaaaaaaaaaaaaaa 18446744073709551615 x", "A,A,,")
	f.Fuzz(func(t *testing.T, field, names string) {
		if _, _, err := proof.New(secret).Check("GET", "/", http.Header{proof.Field: {field}, proof.Signed: {names}}); err == nil {
			t.Fatal("nobody has signed that")
		}
	})
}
