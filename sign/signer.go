package sign

import (
	"sync/atomic"
	"time"
)

// A Signer makes and verifies links. It is made by [New] and may be used by any number of goroutines.
type Signer struct {
	config Config
	step   time.Duration // of the expiry grid
	skew   time.Duration
	mark   []byte // "param="
	ring   atomic.Pointer[[]*ringKey]
	anyone atomic.Pointer[session] // for Sign without a grant

	numbered bool // Config.hasDigits
}

// New returns a Signer as c says, or an error that joins all the faults in c.
func New(c Config) (*Signer, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Signer{
		config: c,
		step:   stepOf(c.TTL),
		skew:   min(greatestSkew, c.TTL/2),
		mark:   []byte(c.Param + "="),

		numbered: c.hasDigits(),
	}
	return s, s.Rotate(c.Keys)
}

// Rotate replaces the keys while the signer is in use: the first signs new sessions from now on, all verify. Sessions under
// way keep the key they began with, and so the spelling of their links, until it is dropped. If it returns an error, the keys
// are still the old ones.
func (s *Signer) Rotate(keys []Key) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	ring := newRing(keys)
	s.ring.Store(&ring)
	s.anyone.Store(nil)
	return nil
}

// signing returns the key that signs under h.
func (s *Signer) signing(h *session) *ringKey {
	if h.signer == s {
		if k := s.verifying(h.key); k != nil {
			return k
		}
	}
	return (*s.ring.Load())[0]
}

// verifying returns the key of that id, or nil.
func (s *Signer) verifying(id string) *ringKey {
	for _, k := range *s.ring.Load() {
		if k.id == id {
			return k
		}
	}
	return nil
}
