package rangeserve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

func TestTheTableIsLongEnough(t *testing.T) {
	require.GreaterOrEqual(t, len(rangecases.Ranges()), 150)
}

func TestParse(t *testing.T) {
	for _, c := range rangecases.Ranges() {
		ranges, err := rangeserve.Parse(c.Header, int64(c.Size))
		switch c.Want {
		case "200":
			require.ErrorIs(t, err, rangeserve.ErrIgnore, "%.60q", c.Header)
			require.NotErrorIs(t, err, rangeserve.ErrUnsatisfiable, "%.60q", c.Header)
			require.Nil(t, ranges)
		case "416":
			require.ErrorIs(t, err, rangeserve.ErrUnsatisfiable, "%.60q", c.Header)
			require.NotErrorIs(t, err, rangeserve.ErrIgnore, "%.60q", c.Header)
			require.Nil(t, ranges)
		default:
			require.NoError(t, err, "%.60q", c.Header)
			require.Equal(t, c.Want, positions(ranges), "%.60q", c.Header)
		}
	}
}

func positions(ranges []rangeserve.Range) string {
	var s []string
	for _, r := range ranges {
		s = append(s, fmt.Sprintf("%d-%d", r.Start, r.Start+r.Length-1))
	}
	return strings.Join(s, ",")
}

func TestParseSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name, header string
		size         int64
		want         error
	}{
		{"another unit", "items=0-1", 10, rangeserve.ErrUnit},
		{"no unit", "0-1", 10, rangeserve.ErrSyntax},
		{"nothing", "", 10, rangeserve.ErrSyntax},
		{"no member", "bytes=", 10, rangeserve.ErrSyntax},
		{"reversed", "bytes=5-2", 10, rangeserve.ErrSyntax},
		{"reversed in an empty body", "bytes=5-2", 0, rangeserve.ErrSyntax},
		{"nine parts", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 100, rangeserve.ErrMany},
		{"an empty body", "bytes=0-1", 0, rangeserve.ErrEmpty},
		{"an empty body and a list", "bytes=0-1,3-4", 0, rangeserve.ErrEmpty},
		{"a negative size", "bytes=0-1", -1, rangeserve.ErrEmpty},
		{"beyond", "bytes=10-", 10, rangeserve.ErrUnsatisfiable},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rangeserve.Parse(c.header, c.size)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestUnsatisfiableKnowsItsStatus(t *testing.T) {
	_, err := rangeserve.Parse("bytes=10-", 10)
	var status interface{ HTTPStatus() int }
	require.ErrorAs(t, fmt.Errorf("x: %w", err), &status)
	require.Equal(t, 416, status.HTTPStatus())
}

func TestParseAllocatesNothingForACallerThatOnlyLooks(t *testing.T) {
	for _, header := range []string{"bytes=0-1", "bytes=100-", "bytes=-5", "bytes=0-1,5-6", "bytes=5-2", "bytes=2000-"} {
		got := testing.AllocsPerRun(100, func() { _, _ = rangeserve.Parse(header, 1000) })
		require.Zero(t, got, header)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, header := range []string{"bytes=0-1", "bytes=1048576-2097151", "bytes=1048576-", "bytes=0-0,5-6,10-12"} {
		b.Run(header, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rangeserve.Parse(header, 1<<31)
			}
		})
	}
}
