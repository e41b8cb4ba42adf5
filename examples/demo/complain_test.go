package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACrowdComplainsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		failed := seldom(10*time.Second, func(format string, values ...any) { lines = append(lines, fmt.Sprintf(format, values...)) })
		for i := range 21 {
			failed(errors.New("a"))
			failed(fmt.Errorf("b %d", i))
			time.Sleep(time.Second)
		}
		require.Equal(t, []string{
			"simulated viewers: 1 requests failed, the last with a",
			"simulated viewers: 20 requests failed, the last with a",
			"simulated viewers: 20 requests failed, the last with a",
		}, lines)
	})
}
