package serve

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Flags are the flags of a program. An error quotes the flag and its value and says what to write instead. It is not followed
// by the usage.
type Flags struct {
	*flag.FlagSet
	addr   string
	checks []func() error // after all flags have been read
}

// NewFlags returns Flags that already have -addr.
func NewFlags(name string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	f.StringVar(&f.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	return f
}

// Parse reads the flags. It prints the usage if that is asked for.
func (f *Flags) Parse(args []string) error {
	err := f.FlagSet.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(os.Stderr)
		f.FlagSet.Usage()
		return err
	case err != nil && strings.Contains(err.Error(), "not defined"):
		return fmt.Errorf("%w (-help lists the flags)", err)
	case err != nil:
		return f.explained(err)
	case f.NArg() > 0:
		return fmt.Errorf("%q belongs to no flag: write -FLAG VALUE, and quote values that have blanks", f.Arg(0))
	}
	for _, check := range f.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// explained says what to write, because package flag only says "parse error".
func (f *Flags) explained(err error) error {
	before, bad := strings.CutSuffix(err.Error(), ": parse error")
	if !bad {
		return err
	}
	name := before[strings.LastIndex(before, " -")+2:]
	var value any
	if one := f.Lookup(name); one != nil {
		if getter, ok := one.Value.(flag.Getter); ok {
			value = getter.Get()
		}
	}
	switch value.(type) {
	case bool:
		return fmt.Errorf("%s: write -%s for yes, or -%[2]s=false", before, name)
	case time.Duration:
		return fmt.Errorf("%s: a duration is written like 90s, 15m or 12h", before)
	}
	return fmt.Errorf("%s: a number is written in digits, such as 25", before)
}

// Listen listens on the address of -addr.
func (f *Flags) Listen() (Listener, error) { return Listen("addr", f.addr) }

// Strings is a flag that can be given several times.
func (f *Flags) Strings(to *[]string, name, usage string) {
	f.Func(name, usage+" (repeatable)", func(s string) error {
		*to = append(*to, s)
		return nil
	})
}

// Allow is a repeatable flag for address ranges.
func (f *Flags) Allow(to *[]netip.Prefix, usage string) {
	f.Func("allow", usage+" (repeatable)", func(s string) error {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return errors.New("an address range is written like 127.0.0.0/8, 192.168.1.5/32 or fd00::/8")
		}
		*to = append(*to, p)
		return nil
	})
}

// Public is the flag for the URL at which players see this server.
func (f *Flags) Public(to *string) {
	f.Func("public", "`URL` at which players reach this server, without a path; interstitials need it beyond loopback", func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != s {
			return errors.New("that is http://HOST[:PORT] or https://HOST[:PORT], such as https://media.example.com")
		}
		*to = s
		return nil
	})
}

// Origin is the server of playlists and media.
type Origin struct {
	URL  string // with a slash at its end
	Host string // a name or an address, without the port
	Port uint16
}

// ParseOrigin reads the URL of an origin.
func ParseOrigin(s string) (Origin, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/") + "/")
	if err != nil {
		return Origin{}, errors.New("an origin is http://HOST[:PORT][/PATH], or the same with https")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if u.Port() == "" {
		port, err = map[string]uint64{"http": 80, "https": 443}[u.Scheme], nil
	}
	if err != nil || port == 0 || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return Origin{}, errors.New("an origin is http://HOST[:PORT][/PATH], or the same with https")
	}
	return Origin{u.String(), u.Hostname(), uint16(port)}, nil
}

// Origins is a repeatable flag for origins.
func (f *Flags) Origins(to *Origins, usage string) {
	f.Func("origin", usage, func(s string) error {
		one, err := ParseOrigin(s)
		*to = append(*to, one)
		return err
	})
}

// Origins are the origins of a program. A guard with their hosts and ports lets nothing else be reached.
type Origins []Origin

// URLs returns the URLs of all.
func (o Origins) URLs() (urls []string) {
	for _, one := range o {
		urls = append(urls, one.URL)
	}
	return urls
}

// Hosts returns the hosts of all.
func (o Origins) Hosts() (hosts []string) {
	for _, one := range o {
		hosts = append(hosts, one.Host)
	}
	return hosts
}

// Ports returns the ports of all.
func (o Origins) Ports() (ports []string) {
	for _, one := range o {
		ports = append(ports, strconv.Itoa(int(one.Port)))
	}
	return ports
}

// Size is a flag for a number of bytes.
func (f *Flags) Size(to *int64, name, usage string) {
	f.Func(name, usage, func(s string) (err error) {
		*to, err = parseSize(s)
		return err
	})
}

var units = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

func parseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "BKMGTi")
	n, err := strconv.ParseInt(number, 10, 64)
	unit, known := units[s[len(number):]]
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("a size is written like 500MB, 256MiB or 1GiB")
	}
	return n * unit, nil
}

// SizeName is a size in the largest unit that divides it.
func SizeName(n int64) string {
	name, largest := fmt.Sprint(n, " bytes"), int64(1)
	for unit, size := range units {
		if size > largest && n >= size && n%size == 0 {
			name, largest = fmt.Sprint(n/size, " ", unit), size
		}
	}
	return name
}
