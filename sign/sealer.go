package sign

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Sealer maps upstream URLs to public URLs that show nothing of them but a file name: /s/TOKEN/seg1.ts. It has the two
// methods of a mapper of playlist URIs. Its URLs are encrypted and authenticated, so that nobody can make or change one without
// a key. They are deterministic: the same upstream URL always gives the same public one, as players require
// (draft-pantos-hls-rfc8216bis-22, section 6.3.4). They do not expire; use a Signer as well if they should. [NewSealer] makes a
// Sealer. Any number of goroutines may use it.
type Sealer struct {
	prefix string
	scope  Scope
	ring   atomic.Pointer[[]*sealKey]
	recent atomic.Pointer[sealedDir]
}

// sealedDir is the directory that was sealed last. A playlist usually names the files of one directory in a row.
type sealedDir struct {
	key      *sealKey
	header   string
	upstream []byte // up to and with its last slash
	public   []byte
}

// The forms of a sealed URL, in the first byte of its token.
const (
	formExact     = 0x20
	formDirectory = 0x21
	formHeader    = 0x02 // added if there are header fields in front of the URL
	formExtension = 0x04 // added to formExact if there is an extension in front of the URL, and the public name ends in it
)

// NewSealer returns a Sealer for public URLs below prefix, a path such as /s/. It uses only Keys and Scope of c: the first key
// seals, and all keys open. The other fields are for a Signer, so that both can share one Config.
//
// With the scope Exact, each URL is sealed whole. With Directory, the directory of a URL is sealed and its file name follows in
// plain text. Relative references between files then need no sealing, but a viewer can name any file below that directory. URLs
// with a query, and names that could be taken for something else, are always sealed whole.
func NewSealer(c Config, prefix string) (*Sealer, error) {
	var errs []error
	if c.Scope > Directory {
		errs = append(errs, fmt.Errorf("sign: unknown Scope %d", c.Scope))
	}
	if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") || strings.Trim(prefix, link.Unreserved+"/") != "" || !link.Plain([]byte(prefix)) {
		errs = append(errs, fmt.Errorf("sign: prefix %q is not a path that begins and ends with / and needs no escaping", prefix))
	}
	s := &Sealer{prefix: prefix, scope: c.Scope}
	if err := errors.Join(append(errs, s.Rotate(c.Keys))...); err != nil {
		return nil, err
	}
	return s, nil
}

// Rotate replaces the keys while the sealer is in use: the first key seals from now on, and all keys open. URLs change with the
// key that seals, so live viewers see each segment of the playlist under a new URL once. Rotate when few are watching.
func (s *Sealer) Rotate(keys []Key) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	ring := make([]*sealKey, 0, len(keys))
	for _, k := range keys {
		sk, err := newSealKey(k)
		if err != nil {
			return err
		}
		ring = append(ring, sk)
	}
	s.ring.Store(&ring)
	return nil
}

// AppendPublic appends the public URL of upstream, an absolute http or https URL, to dst. For any other URL the error is ErrURL
// with a method Unmapped() bool, which returns true. It tells a playlist rewriter that such a URL stays as it is and that
// nothing went wrong.
//
// User information in upstream becomes an Authorization field of the request, and is not part of what Upstream returns.
func (s *Sealer) AppendPublic(dst, upstream []byte) ([]byte, error) {
	return s.AppendPublicOf(dst, upstream, "", "")
}

// AppendPublicOf is AppendPublic for what a playlist names, for a rewrite.KindMapper. If the public name has no extension that
// players accept in place of ext, ext is added. The extension is sealed, so that a resource has one name only.
func (s *Sealer) AppendPublicOf(dst, upstream []byte, _, ext string) ([]byte, error) {
	if bytes.IndexByte(upstream, '@') < 0 {
		return s.seal(dst, upstream, "", ext)
	}
	clean, auth, ok := cutUserInfo(upstream)
	if !ok {
		return dst, errUnsealed
	}
	var f fields
	f.authorize(clean, auth)
	return s.seal(dst, clean, f.encode(), ext)
}

func (s *Sealer) seal(dst, upstream []byte, header, ext string) ([]byte, error) {
	key := (*s.ring.Load())[0]
	if dir := s.recent.Load(); dir != nil && dir.key == key && dir.header == header && bytes.HasPrefix(upstream, dir.upstream) {
		if name := upstream[len(dir.upstream):]; link.IsFileName(name) && fits(name, ext) {
			return append(append(dst, dir.public...), name...), nil
		}
	}
	p, ok := link.Split(upstream)
	if !ok || !p.IsAbsolute() {
		return dst, errUnsealed
	}
	if slash := len(p.Directory()); s.scope == Directory && slash > len(p.Root()) && link.IsFileName(upstream[slash:]) && fits(upstream[slash:], ext) {
		dir := &sealedDir{key: key, header: header, upstream: bytes.Clone(upstream[:slash])}
		dir.public = append(key.appendToken([]byte(s.prefix), formDirectory, header, dir.upstream), '/')
		s.recent.Store(dir)
		return append(append(dst, dir.public...), upstream[slash:]...), nil
	}
	var buf [longestName + longestExtension]byte
	name := appendName(buf[:0], &p)
	if fits(name, ext) {
		return append(append(key.appendToken(append(dst, s.prefix...), formExact, header, upstream), '/'), name...), nil
	}
	named := append(append(appendLen(nil, len(ext)), ext...), upstream...)
	dst = append(append(key.appendToken(append(dst, s.prefix...), formExact|formExtension, header, named), '/'), name...)
	return append(append(dst, '.'), ext...), nil
}

// Upstream returns the URL that public was made from. Of the query of public, it adds only delivery directives (parameters that
// begin with _HLS_), and only for a playlist. The error is ErrBadToken, with an HTTPStatus, for whatever this Sealer has not
// made.
func (s *Sealer) Upstream(public *url.URL) (string, error) {
	o, err := s.open(public.EscapedPath())
	if err != nil {
		return "", err
	}
	if o.ext != "" && o.ext != playlistExtension {
		return string(o.upstream), nil
	}
	return withDirectives(o.upstream, public.RawQuery, o.ext == playlistExtension), nil
}

const playlistExtension = "m3u8"

// opened is what the path of a public URL means.
type opened struct {
	upstream []byte
	header   string // the fields that are sealed with it
	ext      string // what its name ends in besides its own extension
}

func (s *Sealer) open(path string) (o opened, err error) {
	rest, ok := strings.CutPrefix(path, s.prefix)
	if !ok {
		return opened{}, errNotSealed
	}
	token, name, ok := strings.Cut(rest, "/")
	if !ok {
		return opened{}, errNotSealed
	}
	form, upstream, ok := s.openToken(token)
	if ok && form&formHeader != 0 {
		o.header, upstream, ok = cutText(upstream)
	}
	if ok && form&formExtension != 0 {
		o.ext, upstream, ok = cutText(upstream)
	}
	if !ok {
		return opened{}, ErrBadToken
	}
	if o.upstream = upstream; form&^formHeader == formDirectory {
		if !link.Plain([]byte("/" + name)) {
			return opened{}, ErrBadToken
		}
		o.upstream = append(upstream, name...)
		return o, nil
	}
	if o.ext != "" {
		name, ok = strings.CutSuffix(name, "."+o.ext)
	}
	if p, isURL := link.Split(upstream); !ok || !isURL || string(appendName(nil, &p)) != name {
		return opened{}, ErrBadToken
	}
	return o, nil
}

// openToken decodes a token. It accepts only one spelling of each.
func (s *Sealer) openToken(token string) (form byte, plain []byte, ok bool) {
	raw, err := base64url.DecodeString(token)
	if err != nil || base64url.EncodedLen(len(raw)) != len(token) || len(raw) < 2 {
		return 0, nil, false
	}
	n := 2 + int(raw[1])
	switch form = raw[0]; form &^ formHeader {
	case formExact, formDirectory, formExact | formExtension:
	default:
		return 0, nil, false
	}
	if len(raw) < n {
		return 0, nil, false
	}
	for _, key := range *s.ring.Load() {
		if bytes.Equal(key.head[1:], raw[1:n]) {
			plain, ok = key.open(raw[:n], raw[n:])
			return form, plain, ok
		}
	}
	return 0, nil, false
}
