package uploads

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTitles(t *testing.T) {
	for file, want := range map[string]string{
		"My film.mp4": "My-film", "../../etc/passwd": "etc-passwd", ".mp4": "film", "...": "film", "Füße 7.mkv": "Füße-7", "a/b?c#d%.mov": "a-b-c-d",
		strings.Repeat("é", 100) + ".mp4": strings.Repeat("é", 60), ".upload-1.mp4": "upload-1",
	} {
		require.Equal(t, want, titleOf(file), file)
	}
}

func TestRenameReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"film", "film-2", "film-3"} {
		from := filepath.Join(dir, "from")
		require.NoError(t, os.Mkdir(from, 0o755))
		name, err := Rename(from, dir, "film")
		require.NoError(t, err)
		require.Equal(t, want, name)
	}
}
