package rangeserve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// A rangeCase is a Range header for a body of size bytes, and what RFC 9110 section 14 makes of it: "200" (ignored),
// "416", or the byte positions of the parts.
type rangeCase struct {
	header string
	size   int
	want   string
}

// hugeDigits is beyond any integer type.
const hugeDigits = "123456789012345678901"

func rangeCases() []rangeCase {
	cases := []rangeCase{
		// One range, first and last (RFC 9110 14.1.2).
		{"bytes=0-499", 1000, "0-499"},
		{"bytes=500-999", 1000, "500-999"},
		{"bytes=0-0", 1000, "0-0"},
		{"bytes=0-1", 1000, "0-1"},
		{"bytes=1-1", 1000, "1-1"},
		{"bytes=999-999", 1000, "999-999"},
		{"bytes=998-999", 1000, "998-999"},
		{"bytes=0-999", 1000, "0-999"},
		{"bytes=0-998", 1000, "0-998"},
		{"bytes=1-999", 1000, "1-999"},
		{"bytes=100-199", 1000, "100-199"},
		{"bytes=0-0", 1, "0-0"},
		{"bytes=0-9", 10, "0-9"},
		// A last position at or beyond the end is cut.
		{"bytes=0-1000", 1000, "0-999"},
		{"bytes=0-1001", 1000, "0-999"},
		{"bytes=999-1000", 1000, "999-999"},
		{"bytes=500-100000", 1000, "500-999"},
		{"bytes=0-2147483647", 1000, "0-999"},
		{"bytes=0-2147483648", 1000, "0-999"},
		{"bytes=0-4294967295", 1000, "0-999"},
		{"bytes=0-4294967296", 1000, "0-999"},
		{"bytes=0-9007199254740991", 1000, "0-999"},
		{"bytes=0-9223372036854775806", 1000, "0-999"},
		{"bytes=0-9223372036854775807", 1000, "0-999"},
		{"bytes=0-9223372036854775808", 1000, "0-999"},
		{"bytes=0-18446744073709551615", 1000, "0-999"},
		{"bytes=0-18446744073709551616", 1000, "0-999"},
		{"bytes=0-" + hugeDigits, 1000, "0-999"},
		{"bytes=18-18446744073709551615", 1000, "18-999"},
		{"bytes=0-1", 1, "0-0"},
		// Open ranges.
		{"bytes=0-", 1000, "0-999"},
		{"bytes=1-", 1000, "1-999"},
		{"bytes=100-", 1000, "100-999"},
		{"bytes=600-", 1000, "600-999"},
		{"bytes=999-", 1000, "999-999"},
		{"bytes=0-", 1, "0-0"},
		// Suffixes.
		{"bytes=-1", 1000, "999-999"},
		{"bytes=-2", 1000, "998-999"},
		{"bytes=-500", 1000, "500-999"},
		{"bytes=-999", 1000, "1-999"},
		{"bytes=-1000", 1000, "0-999"},
		{"bytes=-1001", 1000, "0-999"},
		{"bytes=-9223372036854775807", 1000, "0-999"},
		{"bytes=-9223372036854775808", 1000, "0-999"},
		{"bytes=-18446744073709551615", 1000, "0-999"},
		{"bytes=-" + hugeDigits, 1000, "0-999"},
		{"bytes=-1", 1, "0-0"},
		{"bytes=-5", 1, "0-0"},
		// Leading zeros are digits.
		{"bytes=00-01", 1000, "0-1"},
		{"bytes=000000000000000000000000000005-0000000000000000000000000000000009", 1000, "5-9"},
		{"bytes=-0000000000000000000000002", 1000, "998-999"},
		// Nothing to satisfy (15.5.17).
		{"bytes=1000-", 1000, "416"},
		{"bytes=1000-1000", 1000, "416"},
		{"bytes=1000-1001", 1000, "416"},
		{"bytes=1001-", 1000, "416"},
		{"bytes=2000-", 1000, "416"},
		{"bytes=2000-3000", 1000, "416"},
		{"bytes=-0", 1000, "416"},
		{"bytes=-00", 1000, "416"},
		{"bytes=9223372036854775807-", 1000, "416"},
		{"bytes=9223372036854775808-", 1000, "416"},
		{"bytes=18446744073709551615-", 1000, "416"},
		{"bytes=18446744073709551616-", 1000, "416"},
		{"bytes=" + hugeDigits + "-", 1000, "416"},
		{"bytes=" + hugeDigits + "-" + hugeDigits, 1000, "416"},
		{"bytes=" + hugeDigits + "-9" + hugeDigits, 1000, "416"},
		{"bytes=1-", 1, "416"},
		{"bytes=1-1", 1, "416"},
		{"bytes=1000-,2000-", 1000, "416"},
		{"bytes=1000-1001,-0", 1000, "416"},
		{"bytes=-0,-0", 1000, "416"},
		// Not a range: the whole header is void (14.1.1, 14.2).
		{"bytes=5-2", 1000, "200"},
		{"bytes=1-0", 1000, "200"},
		{"bytes=1000-999", 1000, "200"},
		{"bytes=2000-1000", 1000, "200"},
		{"bytes=9" + hugeDigits + "-" + hugeDigits, 1000, "200"},
		{"bytes=" + hugeDigits + "-5", 1000, "200"},
		{"bytes=", 1000, "200"},
		{"bytes=,", 1000, "200"},
		{"bytes=, ,\t,", 1000, "200"},
		{"bytes=-", 1000, "200"},
		{"bytes=--", 1000, "200"},
		{"bytes=--1", 1000, "200"},
		{"bytes=-1-", 1000, "200"},
		{"bytes=-1-2", 1000, "200"},
		{"bytes=1-2-3", 1000, "200"},
		{"bytes=1--2", 1000, "200"},
		{"bytes=0--1", 1000, "200"},
		{"bytes=1", 1000, "200"},
		{"bytes=abc", 1000, "200"},
		{"bytes=a-b", 1000, "200"},
		{"bytes=0-b", 1000, "200"},
		{"bytes=a-5", 1000, "200"},
		{"bytes=0-5b", 1000, "200"},
		{"bytes=+0-4", 1000, "200"},
		{"bytes=0-+4", 1000, "200"},
		{"bytes=-+4", 1000, "200"},
		{"bytes=0x0-0x4", 1000, "200"},
		{"bytes=0-4.0", 1000, "200"},
		{"bytes=0-1e2", 1000, "200"},
		{"bytes=0_0-1", 1000, "200"},
		{"bytes=0 -4", 1000, "200"},
		{"bytes=0- 4", 1000, "200"},
		{"bytes=0 - 4", 1000, "200"},
		{"bytes=0\t-4", 1000, "200"},
		{"bytes=- 4", 1000, "200"},
		{"bytes=0-4 5", 1000, "200"},
		{"bytes=0-4;5-6", 1000, "200"},
		{"bytes=0-4/10", 1000, "200"},
		{"bytes=*", 1000, "200"},
		{"bytes=0-*", 1000, "200"},
		{"bytes=\"0-4\"", 1000, "200"},
		{"bytes=٠-٤", 1000, "200"},
		{"bytes=0–4", 1000, "200"},
		{"bytes==0-4", 1000, "200"},
		{"bytes=bytes=0-4", 1000, "200"},
		{"bytes=0-4,bytes=6-7", 1000, "200"},
		{"bytes=0-4,5-2", 1000, "200"},
		{"bytes=5-2,0-4", 1000, "200"},
		{"bytes=0-4,abc", 1000, "200"},
		{"bytes=0-4,-", 1000, "200"},
		{"bytes=2000-,x", 1000, "200"},
		{"bytes=0-4,6 -7", 1000, "200"},
		{"bytes 0-4", 1000, "200"},
		{"bytes 0-4/1000", 1000, "200"},
		{"bytes:0-4", 1000, "200"},
		{"bytes =0-4", 1000, "200"},
		{"bytes", 1000, "200"},
		{"0-4", 1000, "200"},
		{"=0-4", 1000, "200"},
		// Another unit (14.1, 14.2).
		{"items=0-5", 1000, "200"},
		{"items=", 1000, "200"},
		{"items=x", 1000, "200"},
		{"seconds=1-2", 1000, "200"},
		{"byte=0-5", 1000, "200"},
		{"bytess=0-5", 1000, "200"},
		{"xbytes=0-5", 1000, "200"},
		{"none=0-5", 1000, "200"},
		// The unit is a token of any case.
		{"Bytes=0-4", 1000, "0-4"},
		{"BYTES=0-4", 1000, "0-4"},
		{"bYtEs=-4", 1000, "996-999"},
		{"BYTES=5-2", 1000, "200"},
		{"Bytes=1000-", 1000, "416"},
		// White space belongs round commas; empty members are nothing (5.6.1.2).
		{"bytes= 0-4", 1000, "0-4"},
		{"bytes=\t0-4", 1000, "0-4"},
		{"bytes=,0-4", 1000, "0-4"},
		{"bytes= ,0-4", 1000, "0-4"},
		{"bytes=0-4,", 1000, "0-4"},
		{"bytes=0-4 ,", 1000, "0-4"},
		{"bytes=0-4, ,", 1000, "0-4"},
		{"bytes=,,0-4,,", 1000, "0-4"},
		{"bytes= \t,\t 0-4 \t,\t ", 1000, "0-4"},
		{"bytes=0-4, 6-9", 1000, "0-4,6-9"},
		{"bytes=0-4 ,6-9", 1000, "0-4,6-9"},
		{"bytes=0-4\t,\t6-9", 1000, "0-4,6-9"},
		{"bytes=0-4,,6-9", 1000, "0-4,6-9"},
		{"bytes=,,0-4, ,6-9,,", 1000, "0-4,6-9"},
		// Several ranges.
		{"bytes=0-0,-1", 1000, "0-0,999-999"},
		{"bytes=500-600,700-800", 1000, "500-600,700-800"},
		{"bytes=0-0,2-2,4-4", 1000, "0-0,2-2,4-4"},
		{"bytes=0-4,6-", 1000, "0-4,6-999"},
		{"bytes=1-3,-2", 1000, "1-3,998-999"},
		{"bytes=0-4,10-14,20-24,30-34", 1000, "0-4,10-14,20-24,30-34"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 1000, "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14"},
		// The order asked for is kept (15.3.7.2).
		{"bytes=500-600,0-4", 1000, "500-600,0-4"},
		{"bytes=-1,0-0", 1000, "999-999,0-0"},
		{"bytes=8-8,4-4,6-6,0-0", 1000, "8-8,4-4,6-6,0-0"},
		// Those that cannot be satisfied are left out.
		{"bytes=0-4,2000-", 1000, "0-4"},
		{"bytes=2000-,0-4", 1000, "0-4"},
		{"bytes=0-4,-0", 1000, "0-4"},
		{"bytes=-0,0-4", 1000, "0-4"},
		{"bytes=0-4,1000-2000,6-7", 1000, "0-4,6-7"},
		{"bytes=0-4," + hugeDigits + "-", 1000, "0-4"},
		{"bytes=998-,1000-", 1000, "998-999"},
		// Neighbours and overlaps are joined.
		{"bytes=0-4,5-9", 1000, "0-9"},
		{"bytes=5-9,0-4", 1000, "0-9"},
		{"bytes=0-499,500-999", 1000, "0-999"},
		{"bytes=0-4,3-9", 1000, "0-9"},
		{"bytes=500-600,601-999", 1000, "500-999"},
		{"bytes=500-700,601-999", 1000, "500-999"},
		{"bytes=0-9,2-3", 1000, "0-9"},
		{"bytes=2-3,0-9", 1000, "0-9"},
		{"bytes=0-0,0-0,0-0", 1000, "0-0"},
		{"bytes=0-,0-", 1000, "0-999"},
		{"bytes=0-,1-,2-,3-", 1000, "0-999"},
		{"bytes=-1,-2,-3", 1000, "997-999"},
		{"bytes=0-,-1", 1000, "0-999"},
		{"bytes=0-1,4-5,2-3", 1000, "0-5"},
		{"bytes=0-1,10-11,4-5,2-3", 1000, "0-5,10-11"},
		{"bytes=10-11,4-5,0-1,2-3", 1000, "10-11,0-5"},
		{"bytes=0-1,3-4,6-7,0-9", 1000, "0-9"},
		{"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9", 1000, "0-9"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,1-1", 1000, "0-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,0-20", 1000, "0-20"},
		// Too many parts (14.2).
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 1000, "200"},
		// An empty body has nothing to cut.
		{"bytes=0-", 0, "200"},
		{"bytes=0-0", 0, "200"},
		{"bytes=-1", 0, "200"},
		{"bytes=-0", 0, "200"},
		{"bytes=5-", 0, "200"},
		{"bytes=0-0,2-3", 0, "200"},
		{"bytes=x", 0, "200"},
	}
	return append(cases, hostileCases()...)
}

// hostileCases are headers that have brought servers down.
func hostileCases() []rangeCase {
	var every, same, nested strings.Builder
	for i := range 1300 { // CVE-2011-3192
		fmt.Fprintf(&nested, ",5-%d", i)
	}
	for i := range 99 {
		fmt.Fprintf(&every, ",%d-%d", 2*i, 2*i)
		same.WriteString(",0-")
	}
	return []rangeCase{
		{"bytes=0-" + nested.String(), 1000, "200"},
		{"bytes=998-998" + every.String(), 1000, "200"},
		{"bytes=0-" + same.String(), 1000, "0-999"},
		{"bytes=0-" + same.String() + ",0-", 1000, "200"}, // 101 members
		{"bytes=" + strings.Repeat(",", 8000) + "0-0", 1000, "0-0"},
		{"bytes=" + strings.Repeat(",", 100_000) + "0-0", 1000, "200"},
		{"bytes=-1,-" + strings.Repeat("9", 100_000), 1000, "200"},
		{"bytes=0-18446744073709551615,18446744073709551615-", 1000, "0-999"}, // CVE-2015-1635
		{"bytes=-9223372036854774807,-9223372036854774807", 1000, "0-999"},    // CVE-2017-7529
		{"bytes=-1000,-9223372036854774808", 1000, "0-999"},                   // the sum wraps
		{"bytes=9223372036854775800-9223372036854775807,0-0", 1000, "0-0"},
		{"bytes=0-9223372036854775807,1-9223372036854775807", 1000, "0-999"},
	}
}

func TestTheTableIsLongEnough(t *testing.T) {
	require.GreaterOrEqual(t, len(rangeCases()), 150)
}

func TestParse(t *testing.T) {
	for _, c := range rangeCases() {
		ranges, err := rangeserve.Parse(c.header, int64(c.size))
		switch c.want {
		case "200":
			require.ErrorIs(t, err, rangeserve.ErrIgnore, "%.60q", c.header)
			require.NotErrorIs(t, err, rangeserve.ErrUnsatisfiable, "%.60q", c.header)
			require.Nil(t, ranges)
		case "416":
			require.ErrorIs(t, err, rangeserve.ErrUnsatisfiable, "%.60q", c.header)
			require.NotErrorIs(t, err, rangeserve.ErrIgnore, "%.60q", c.header)
			require.Nil(t, ranges)
		default:
			require.NoError(t, err, "%.60q", c.header)
			require.Equal(t, c.want, positions(ranges), "%.60q", c.header)
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
