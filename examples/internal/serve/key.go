package serve

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign"
)

// Key is a secret that people choose: the key of the links, and the password of pages.
type Key string

// Key adds the flags -key and -key-file, and reads the variable HLSPROXY_KEY. The list of processes shows neither the file's
// content nor the variable.
func (f *Flags) Key(to *Key, usage string) {
	var given, file string
	errEmpty := errors.New("an empty key protects nothing: is a variable of the shell not set?")
	f.Func("key", usage+"; other users of the machine see it in the list of processes, unlike -key-file and $HLSPROXY_KEY", func(s string) error {
		if given = s; s == "" {
			return errEmpty
		}
		return nil
	})
	f.StringVar(&file, "key-file", "", "`FILE` that holds the key, and nothing else")
	f.checks = append(f.checks, func() error {
		*to = Key(given)
		switch {
		case given != "" && file != "":
			return errors.New("give the key by -key or by -key-file, not by both")
		case given != "":
		case file != "":
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("-key-file %q: %w", file, err)
			}
			if *to = Key(strings.TrimSpace(string(text))); *to == "" {
				return fmt.Errorf("-key-file %q: %w", file, errEmpty)
			}
		default:
			*to = Key(os.Getenv("HLSPROXY_KEY"))
		}
		return nil
	})
}

// Secret is the key for a signer. It is stretched, because people choose passwords instead of 32 random bytes.
func (k Key) Secret() ([]sign.Key, error) {
	secret, err := pbkdf2.Key(sha256.New, string(k), []byte("hlsproxy links"), 100_000, 32)
	return []sign.Key{{ID: "1", Secret: secret}}, err
}

// Is compares in constant time.
func (k Key) Is(guess string) bool {
	want, got := sha256.Sum256([]byte(k)), sha256.Sum256([]byte(guess))
	return k != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// Handler asks browsers for the key, as the password of any user.
func (k Key) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); !k.Is(password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="any name, and the key as password", charset="UTF-8"`)
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
