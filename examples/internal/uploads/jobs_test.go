package uploads

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The places are for all clients. A client keeps places beyond its first as long as nobody else needs them.
func TestPlaces(t *testing.T) {
	for name, row := range map[string]struct {
		there    string // a letter for the client of each place, capital where its film is being converted
		comes    string
		admitted bool
		gone     int // the place that is given up; 0: none
	}{
		"room":                     {"aaa", "a", true, 0},
		"one has all":              {"aaaa", "b", true, 4},
		"one has all, and more":    {"aaaa", "a", false, 0},
		"the last of those before": {"aabc", "d", true, 2},
		"each has one":             {"abcd", "e", false, 0},
		"one who has one":          {"abaa", "b", false, 0},
		"what is being converted":  {"abcA", "d", true, 1},
	} {
		q := newJobs()
		for i, c := range row.there {
			_, cancel := context.WithCancelCause(t.Context())
			j, err := q.add(strings.ToLower(string(c)), cancel)
			require.NoError(t, err, name)
			if c < 'a' {
				require.NoError(t, q.wait(t.Context(), j), i)
			}
		}
		var cause error
		for _, j := range q.list {
			j.cancel = func(err error) { cause = err }
		}
		_, err := q.add(row.comes, func(error) {})
		require.Equal(t, row.admitted, err == nil, name)
		require.Equal(t, row.gone > 0, cause == errGaveWay, name)
		for i, j := range q.list {
			require.Equal(t, i+1 == row.gone, j.gone, "%s: %s", name, strconv.Itoa(i+1))
		}
	}
}
