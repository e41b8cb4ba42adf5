package uploads

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// titleOf makes the name of a folder from the name of a film.
func titleOf(file string) string {
	title := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, strings.TrimSuffix(file, filepath.Ext(file)))
	if runes := []rune(title); len(runes) > 60 {
		title = string(runes[:60])
	}
	if title = strings.Trim(title, ".-"); title == "" {
		return "film"
	}
	return title
}

// Rename moves a folder into dir, under the first free name that begins with the title, and returns that name.
func Rename(from, dir, title string) (string, error) {
	name := title
	for n := 2; n < 1000; n++ {
		to := filepath.Join(dir, name)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return name, os.Rename(from, to) // it never replaces a folder
		}
		name = title + "-" + strconv.Itoa(n)
	}
	return "", fmt.Errorf("there are 999 films called %q", title)
}
