package origin_test

import (
	"io"
	"log"
	"os"
	"testing"
)

// TestMain keeps what a Proxy logs by default out of the output of the tests.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
