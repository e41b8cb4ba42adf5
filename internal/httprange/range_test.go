package httprange_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/stretchr/testify/require"
)

const huge = "99999999999999999999"

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		field string
		size  int64
		want  []httprange.Range
		err   error
	}{
		{"bytes=0-1", 10, []httprange.Range{{0, 2}}, nil},
		{"BYTES=5-", 10, []httprange.Range{{5, 5}}, nil},
		{"bytes=-3", 10, []httprange.Range{{7, 3}}, nil},
		{"bytes=-" + huge, 10, []httprange.Range{{0, 10}}, nil},
		{"bytes=2-" + huge, 10, []httprange.Range{{2, 8}}, nil},
		{"bytes=8-9, 0-1,,4-5", 10, []httprange.Range{{8, 2}, {0, 2}, {4, 2}}, nil},
		{"bytes=0-1,2-3,1-5", 10, []httprange.Range{{0, 6}}, nil},
		{"bytes=,3-4,", 10, []httprange.Range{{3, 2}}, nil},
		{"bytes=10-", 10, nil, httprange.ErrUnsatisfiable},
		{"bytes=-0", 10, nil, httprange.ErrUnsatisfiable},
		{"bytes=" + huge + "-", 10, nil, httprange.ErrUnsatisfiable},
		{"bytes=0-", 0, nil, httprange.ErrEmpty},
		{"bytes=3-2", 10, nil, httprange.ErrSyntax},
		{"bytes=" + huge + "-99999999999999999998", 10, nil, httprange.ErrSyntax},
		{"bytes=0" + huge + "-" + huge, 10, nil, httprange.ErrUnsatisfiable},
		{"bytes=", 10, nil, httprange.ErrSyntax},
		{"bytes=,", 10, nil, httprange.ErrSyntax},
		{"bytes=-", 10, nil, httprange.ErrSyntax},
		{"bytes=1", 10, nil, httprange.ErrSyntax},
		{"bytes=+1-2", 10, nil, httprange.ErrSyntax},
		{"bytes = 1-2", 10, nil, httprange.ErrUnit},
		{"items=1-2", 10, nil, httprange.ErrUnit},
		{"", 10, nil, httprange.ErrSyntax},
		{"bytes=" + strings.Repeat("0-1,", 101), 10, nil, httprange.ErrMany},
		{"bytes=" + strings.Repeat(" ", httprange.MaxHeader), 10, nil, httprange.ErrMany},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 100, nil, httprange.ErrMany},
	} {
		got, err := httprange.Append(nil, c.field, c.size)
		require.ErrorIs(t, err, c.err, "%.40q", c.field)
		require.Equal(t, c.want, got, "%.40q", c.field)
	}
}

func TestParseOne(t *testing.T) {
	for field, want := range map[string]httprange.Spec{
		"bytes=0-1":       {First: 0, Last: 1},
		"bytes=, 7- ,":    {First: 7, Last: -1},
		"bytes=-5":        {First: -1, Last: 5},
		"bytes=1-" + huge: {First: 1, Last: 1<<63 - 1},
	} {
		got, ok := httprange.ParseOne(field)
		require.True(t, ok, field)
		require.Equal(t, want, got, field)
	}
	for _, field := range []string{"", "bytes=", "bytes=0-1,3-4", "bytes=0-1,x", "bytes=x", "bytes=2-1", "lines=0-1", "bytes=--1"} {
		_, ok := httprange.ParseOne(field)
		require.False(t, ok, field)
	}
}

func TestBounded(t *testing.T) {
	for field, want := range map[string]bool{
		"bytes=0-1": true, "bytes=0-": false, "bytes=-1": false, "bytes=5-9007199254740991": false, "bytes=5-9007199254740990": true,
	} {
		s, ok := httprange.ParseOne(field)
		require.True(t, ok)
		require.Equal(t, want, s.Bounded(), field)
	}
}

func TestContentRange(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  httprange.ContentRange
		ok    bool
	}{
		{[]string{"bytes 0-9/10"}, httprange.ContentRange{First: 0, Last: 9, Size: 10}, true},
		{[]string{"Bytes 5-9/*"}, httprange.ContentRange{First: 5, Last: 9, Size: -1}, true},
		{[]string{"bytes 5-5/6"}, httprange.ContentRange{First: 5, Last: 5, Size: 6}, true},
		{lines: nil},
		{[]string{"bytes 0-9/10", "bytes 0-9/10"}, httprange.ContentRange{First: 0, Last: 9, Size: 10}, true},
		{[]string{"bytes=0-9/10"}, httprange.ContentRange{First: 0, Last: 9, Size: 10}, true},
		{[]string{"bytes: 0 - 9 / 10 "}, httprange.ContentRange{First: 0, Last: 9, Size: 10}, true},
		{[]string{"0-9/10"}, httprange.ContentRange{First: 0, Last: 9, Size: 10}, true},
		{[]string{"bytes 5-9"}, httprange.ContentRange{First: 5, Last: 9, Size: -1}, true},
		{[]string{"bytes 5-9/"}, httprange.ContentRange{First: 5, Last: 9, Size: -1}, true},
		{lines: []string{"bytes 0-9/10", "bytes 0-8/10"}},
		{lines: []string{"bytes */10"}},
		{lines: []string{"bytes 5-4/10"}},
		{lines: []string{"bytes 5-10/10"}},
		{lines: []string{"bytes 59/10"}},
		{lines: []string{"bytes 5-/10"}},
		{lines: []string{"bytes -5/10"}},
		{lines: []string{"bytes 5-9/x"}},
		{lines: []string{"bytes 5-9/10x"}},
		{lines: []string{"bytes 5-9/**"}},
		{lines: []string{"bytes 5-" + huge + "/*"}},
		{lines: []string{"bytes 5-9/" + huge}},
		{lines: []string{"items 0-9/10"}},
		{lines: []string{"bytes 5-9 10"}},
		{lines: []string{"bytes 5-9*"}},
		{lines: []string{"bytes -"}},
		{lines: []string{""}},
	} {
		got, ok := httprange.ParseContentRange(http.Header{"Content-Range": c.lines})
		require.Equal(t, c.ok, ok, c.lines)
		require.Equal(t, c.want, got, c.lines)
		if ok {
			again, ok := httprange.ParseContentRange(http.Header{"Content-Range": {got.String()}})
			require.True(t, ok)
			require.Equal(t, got, again)
			require.Equal(t, got, got.Range().Of(got.Size))
		}
	}
	require.Equal(t, "bytes */7", httprange.Unsatisfied(7))
}

func TestContentLength(t *testing.T) {
	for line, want := range map[string]int64{"0": 0, "10": 10, "": -1, "-1": -1, "1x": -1, "1, 1": -1, huge: -1} {
		require.Equal(t, want, httprange.ContentLength(http.Header{"Content-Length": {line}}), line)
	}
	require.EqualValues(t, -1, httprange.ContentLength(http.Header{"Content-Length": {"1", "1"}}))
	require.EqualValues(t, -1, httprange.ContentLength(nil))
}

func FuzzAppend(f *testing.F) {
	f.Add("bytes=0-1,5-,-3", int64(10))
	f.Add("bytes="+huge+"-"+huge, int64(1<<62))
	f.Fuzz(func(t *testing.T, field string, size int64) {
		ranges, err := httprange.Append(nil, field, size)
		if err != nil {
			require.Nil(t, ranges)
			return
		}
		sum := int64(0)
		for i, r := range ranges {
			require.True(t, r.Start >= 0 && r.Length > 0 && r.End() <= size, "%v of %d", r, size)
			for _, o := range ranges[:i] {
				require.True(t, r.Start > o.End() || o.Start > r.End(), "%v touches %v", r, o)
			}
			sum += r.Length
		}
		require.True(t, len(ranges) > 0 && len(ranges) <= httprange.MaxParts && sum <= size)
		if s, ok := httprange.ParseOne(field); ok {
			one, err := s.In(size)
			require.NoError(t, err)
			require.Equal(t, []httprange.Range{one}, ranges)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes 1-2/*")
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := httprange.ParseContentRange(http.Header{"Content-Range": {line}})
		if !ok {
			return
		}
		require.True(t, c.First >= 0 && c.Length() > 0 && (c.Size == httprange.Unknown || c.Last < c.Size))
		again, ok := httprange.ParseContentRange(http.Header{"Content-Range": {c.String()}})
		require.True(t, ok)
		require.Equal(t, c, again)
	})
}
