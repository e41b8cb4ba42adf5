package ladder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSegmentsThatAreNotWhole(t *testing.T) {
	const moof, mdat = "\x00\x00\x00\x0amoof--", "\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x14data"
	for name, row := range map[string]struct {
		file, text string
		whole      bool
	}{
		"packets":          {"a.ts", strings.Repeat("x", 376), true},
		"part of a packet": {"a.ts", strings.Repeat("x", 377), false},
		"no packet":        {"a.ts", "", false},
		"boxes":            {"a.m4s", moof + mdat + moof, true},
		"part of a box":    {"a.m4s", moof + mdat + moof[:9], false},
		"part of a header": {"a.m4s", moof + moof[:7], false},
		"part of a length": {"a.m4s", moof + mdat[:15], false},
		"no boxes":         {"a.m4s", "", false},
		"zeros":            {"a.m4s", strings.Repeat("\x00", 64), false},
		"huge box":         {"a.m4s", "\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xffdata", false},
	} {
		file := filepath.Join(t.TempDir(), row.file)
		require.NoError(t, os.WriteFile(file, []byte(row.text), 0o644))
		size, whole := measure(file)
		require.Equal(t, row.whole, whole, name)
		require.Equal(t, int64(len(row.text)), size, name)
	}
	_, whole := measure("does not exist")
	require.False(t, whole)
}
