package corsmw

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
)

const (
	defaultMaxAge = 2 * time.Hour
	longestMaxAge = 24 * time.Hour
)

// DefaultAllowHeaders returns the fields of a nil AllowHeaders, so that you can add to them.
func DefaultAllowHeaders() []string {
	return []string{
		"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Authorization", "Cache-Control", "Pragma",
		"CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status",
	}
}

// DefaultExposeHeaders returns the fields of a nil ExposeHeaders, so that you can add to them.
func DefaultExposeHeaders() []string {
	return []string{
		"Content-Length", "Content-Range", "Accept-Ranges", "Date", "Age", "ETag", "Last-Modified", "Retry-After",
		"Cache-Status", "CMSD-Static", "CMSD-Dynamic",
	}
}

// New returns a Middleware for c, or an error that joins one [ConfigError] for each fault in c.
func New(c Config) (*Middleware, error) {
	m := &Middleware{timing: c.Timing, privateNetwork: c.PrivateNetwork}
	err := errors.Join(m.setOrigins(c), m.setAnswer(c), m.setPreflight(c))
	if err != nil {
		return nil, err
	}
	if !m.any {
		m.vary = varyOrigin
	}
	return m, nil
}

// A ConfigError is one fault in a [Config].
type ConfigError struct {
	Field  string // name of the field
	Value  string // the refused value, or empty
	Reason string // what is wrong with it, and what to write instead
}

// Error names the field, the value and the fault.
func (e *ConfigError) Error() string {
	if e.Value == "" {
		return "corsmw: " + e.Field + ": " + e.Reason
	}
	return fmt.Sprintf("corsmw: %s: %q %s", e.Field, e.Value, e.Reason)
}

func fault(field, value, reason string) error {
	return &ConfigError{Field: field, Value: value, Reason: reason}
}

// setAnswer prepares the fields of ordinary answers.
func (m *Middleware) setAnswer(c Config) error {
	var errs []error
	switch c.ResourcePolicy {
	case "":
	case "cross-origin", "same-site", "same-origin":
		m.fixed = append(m.fixed, one("Cross-Origin-Resource-Policy", c.ResourcePolicy))
	default:
		errs = append(errs, fault("ResourcePolicy", c.ResourcePolicy, "is none of cross-origin, same-site, same-origin"))
	}
	if c.Credentials {
		m.granted = append(m.granted, one("Access-Control-Allow-Credentials", "true"))
	}
	expose, err := names("ExposeHeaders", c.ExposeHeaders, DefaultExposeHeaders, c.Credentials)
	if expose != "" {
		m.granted = append(m.granted, one("Access-Control-Expose-Headers", expose))
	}
	return errors.Join(append(errs, err)...)
}

// setPreflight prepares the additional fields of answers to preflights.
func (m *Middleware) setPreflight(c Config) error {
	allow, err := names("AllowHeaders", c.AllowHeaders, DefaultAllowHeaders, c.Credentials)
	m.preflight = append(m.preflight, one("Access-Control-Allow-Methods", "GET, HEAD"))
	if allow != "" {
		m.preflight = append(m.preflight, one("Access-Control-Allow-Headers", allow))
	}
	age := c.MaxAge
	switch {
	case age == 0:
		age = defaultMaxAge
	case age < 0:
		age = 0
	case age > longestMaxAge:
		err = errors.Join(err, fault("MaxAge", age.String(), "is longer than the 24h that any browser keeps"))
	case age%time.Second != 0:
		err = errors.Join(err, fault("MaxAge", age.String(), "is not a whole number of seconds"))
	}
	m.preflight = append(m.preflight, one("Access-Control-Max-Age", strconv.FormatInt(int64(age/time.Second), 10)))
	return err
}

func one(name, value string) field { return field{name, value} }

// names checks a list of field names and joins it.
func names(fieldName string, list []string, byDefault func() []string, credentials bool) (string, error) {
	if list == nil {
		list = byDefault()
	}
	var errs []error
	for _, n := range list {
		switch {
		case n == "*" && credentials:
			errs = append(errs, fault(fieldName, n, "means the field of that name when there are Credentials: list the names"))
		case !tchar.IsToken(n):
			errs = append(errs, fault(fieldName, n, "is not the name of a header field"))
		}
	}
	return strings.Join(list, ", "), errors.Join(errs...)
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
