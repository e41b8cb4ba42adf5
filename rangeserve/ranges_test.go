package rangeserve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// TestRanges sends every header of the table to every way of serving: all must agree.
func TestRanges(t *testing.T) {
	for _, size := range []int{0, 1, 10, 1000} {
		body := bodyOf(size)
		for _, target := range targets(t, body) {
			t.Run(fmt.Sprintf("%s/%d bytes", target.name, size), func(t *testing.T) {
				for _, c := range rangecases.Ranges() {
					if c.Size == size {
						requireCase(t, target, c, body)
					}
				}
			})
		}
	}
}

func requireCase(t *testing.T, target target, c rangecases.Range, body []byte) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("Range: %.100s", c.Header)
		}
	}()
	a := ask(t, "GET", target.url, "Range: "+c.Header)
	switch {
	case c.Want == "200", target.cuts && !ascends(c, len(body)):
		requireWhole(t, a, body)
	case c.Want == "416":
		requireRefused(t, a, len(body))
	default:
		requirePartial(t, a, c.Want, body)
	}
}

// ascends reports whether the parts of a case ascend in the order of the request.
func ascends(c rangecases.Range, size int) bool {
	ranges, _ := rangeserve.Parse(c.Header, int64(size))
	for i := 1; i < len(ranges); i++ {
		if ranges[i].Start < ranges[i-1].Start {
			return false
		}
	}
	return true
}

// TestRangeOfAnotherMethodIsIgnored: only GET has ranges (RFC 9110 section 14.2).
func TestRangeOfAnotherMethodIsIgnored(t *testing.T) {
	body := bodyOf(1000)
	for _, target := range targets(t, body) {
		t.Run(target.name, func(t *testing.T) {
			for _, header := range []string{"bytes=0-1", "bytes=0-1,5-6", "bytes=2000-", "x"} {
				a := ask(t, "HEAD", target.url, "Range: "+header)
				require.NoError(t, a.err)
				require.Equal(t, 200, a.StatusCode)
				require.Equal(t, int64(len(body)), a.ContentLength)
				require.Empty(t, a.body)
				require.Empty(t, a.Header.Get("Content-Range"))
				require.Equal(t, "bytes", a.Header.Get("Accept-Ranges"))
				require.Equal(t, "video/mp4", a.Header.Get("Content-Type"))
				requireMetadata(t, a)
			}
		})
	}
}

func TestTwoRangeFieldsAreNone(t *testing.T) {
	body := bodyOf(1000)
	for _, target := range targets(t, body) {
		requireWhole(t, ask(t, "GET", target.url, "Range: bytes=0-1", "Range: bytes=4-5"), body)
	}
}

func TestNoRange(t *testing.T) {
	body := bodyOf(300_000)
	for _, target := range targets(t, body) {
		t.Run(target.name, func(t *testing.T) {
			requireWhole(t, ask(t, "GET", target.url), body)
			a := ask(t, "HEAD", target.url)
			require.Equal(t, 200, a.StatusCode)
			require.Equal(t, int64(len(body)), a.ContentLength)
			require.Equal(t, "bytes", a.Header.Get("Accept-Ranges"))
		})
	}
}

// TestLargeRanges goes through buffers of every kind, and through sendfile.
func TestLargeRanges(t *testing.T) {
	const size = 3_000_000
	body := bodyOf(size)
	for _, target := range targets(t, body) {
		if strings.HasSuffix(target.name, "of 1") || strings.HasSuffix(target.name, "of 7") {
			continue
		}
		t.Run(target.name, func(t *testing.T) {
			for _, want := range []string{
				"0-2999999", "1-2999998", "0-131071", "0-131072", "0-131073", "5-2000004", "2868928-2999999", "2999999-2999999",
				"0-999999,1500000-2999999", "0-0,131072-600000,2999998-2999999",
			} {
				requirePartial(t, ask(t, "GET", target.url, "Range: bytes="+want), want, body)
			}
		})
	}
}
