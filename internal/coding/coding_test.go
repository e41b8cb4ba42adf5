package coding_test

import (
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/stretchr/testify/require"
)

func TestWhatIsACoding(t *testing.T) {
	for _, row := range []struct{ given, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{" , ,"}, nil},
		{[]string{"identity"}, nil},
		{[]string{"aws-chunked"}, nil},
		{[]string{"utf-8", "binary, none, chunked"}, nil},
		{[]string{"GZip"}, []string{"gzip"}},
		{[]string{"x-gzip, aws-chunked"}, []string{"gzip"}},
		{[]string{"aws-chunked,gzip", "br"}, []string{"gzip", "br"}},
		{[]string{"gzip, gzip"}, []string{"gzip", "gzip"}},
		{[]string{"X-Compress\t"}, []string{"compress"}},
		{[]string{"gzip;q=1"}, nil},
	} {
		h := http.Header{"Content-Encoding": row.given}
		require.Equal(t, row.want, coding.List(h), row.given)
		require.Equal(t, row.want != nil, coding.Is(h), row.given)
		coding.Set(h, row.want)
		require.Equal(t, row.want, coding.List(h))
		require.Equal(t, row.want != nil, len(h["Content-Encoding"]) == 1)
	}
}
