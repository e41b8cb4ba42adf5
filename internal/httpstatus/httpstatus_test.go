package httpstatus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/stretchr/testify/require"
)

type known int

func (known) Error() string     { return "known" }
func (k known) HTTPStatus() int { return int(k) }

func TestWhatAStatusSays(t *testing.T) {
	for status := 100; status < 1000; status++ {
		require.Equal(t, status == 500 || status == 502 || status == 503 || status == 504, httpstatus.Failed(status), status)
		require.Equal(t, status == 404 || status == 410, httpstatus.IsMissing(status), status)
	}
}

func TestOr(t *testing.T) {
	for _, row := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), 502}, {known(403), 403}, {fmt.Errorf("wrapped: %w", known(599)), 599}, {context.DeadlineExceeded, 504},
		{os.ErrDeadlineExceeded, 504}, {context.Canceled, 502}, {known(200), 502}, {known(0), 502}, {known(600), 502}, {known(1000), 502},
	} {
		require.Equal(t, row.want, httpstatus.Or(row.err, 502), "%v", row.err)
	}
}
