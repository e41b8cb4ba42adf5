package cdn

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// prefixed is a scheme in which a link opens a directory and all below.
type prefixed struct {
	scheme
	// paramsFor signs a directory, which is spelled as clients send it: for schemes with hosts an absolute URL, else a path.
	paramsFor func(dir string, expires int64) ([]byte, error)
	cookies   func(prefix string, expires int64) ([]*http.Cookie, error)
	link      func(url string, expires int64) ([]byte, error) // for one file alone

	mu     sync.Mutex
	made   map[directory][]byte
	recent atomic.Pointer[recent]
}

// directory is one that was signed.
type directory struct {
	url     string // as the playlist spells it
	expires int64
}

// recent is what was signed last: playlists name the files of one directory in a row.
type recent struct {
	directory
	params []byte
}

const mostDirectories = 1024

// Sign remembers what it made for directories, so that a playlist costs one signature for each directory that it names files
// of, and so do all that name the same ones until their expiry moves on.
func (s *prefixed) Sign(ctx context.Context, public []byte) ([]byte, error) {
	expires := expiry.Under(ctx, s.ttl)
	if signed, ok := s.extendPlainly(public, expires); ok {
		return signed, nil
	}
	p, err := s.read(public)
	if err != nil {
		return public, err
	}
	params, err := s.get(&p, expires)
	if err != nil {
		return public, err
	}
	return p.Insert(params), nil
}

// SignAlike tells a playlist rewriter that it need not call Sign for each URL: what Sign appends to public it appends to
// each URL that differs from it in nothing but digits, of its file name before the extension or of its query.
func (s *prefixed) SignAlike(_ context.Context, public []byte) bool {
	p, ok := link.Split(public)
	if !ok || p.IsOdd() || bytes.IndexByte(p.Path(), '%') >= 0 {
		return false // no digit may be one of an escape
	}
	query, _ := p.Query()
	for q := range bytes.SplitSeq(query, []byte{'&'}) {
		name, _, _ := bytes.Cut(q, []byte{'='})
		if bytes.IndexByte(name, '%') >= 0 || s.owns(string(name)) {
			return false
		}
	}
	return !strings.ContainsAny(strings.Join(s.params, ""), link.Digits)
}

func (s *prefixed) URL(rawURL string) (string, error) {
	if s.link == nil {
		return urlOf(s, rawURL)
	}
	p, err := s.read([]byte(rawURL))
	if err != nil {
		return "", err
	}
	p.DropEmptyQuery()
	params, err := s.link(p.AsSent(true), expiry.Under(context.Background(), s.ttl))
	if err != nil {
		return "", err
	}
	return string(p.Insert(params)), nil
}

func (s *prefixed) Cookies(prefix string) ([]*http.Cookie, error) {
	if s.cookies == nil {
		return nil, ErrNoCookies
	}
	p, err := checkPrefix(prefix)
	if err != nil {
		return nil, err
	}
	return s.cookies(p.AsSent(true), expiry.Under(context.Background(), s.ttl))
}

// get returns the parameters that cover the directory of p, made when there are none yet. Making holds the others up, so that
// many viewers at once cost one signature too. Those of a directory above would do as well, and never serve: they open more
// than the viewer was meant to see, and come and go with what others watch.
func (s *prefixed) get(p *link.URL, expires int64) ([]byte, error) {
	d := directory{string(p.Directory()), expires}
	s.mu.Lock()
	defer s.mu.Unlock()
	params, ok := s.made[d]
	if !ok {
		sent, _ := link.Split([]byte(d.url))
		var err error
		if params, err = s.paramsFor(sent.AsSent(s.hosts), expires); err != nil {
			return nil, err
		}
		if s.made == nil || len(s.made) == mostDirectories {
			s.made = map[directory][]byte{}
		}
		s.made[d] = params
	}
	s.recent.Store(&recent{d, params})
	return params, nil
}

// extendPlainly is the fast answer to most URLs of a playlist: a plain file name beside that of the URL before. Not ok means
// to look closer.
func (s *prefixed) extendPlainly(public []byte, expires int64) ([]byte, bool) {
	r := s.recent.Load()
	if r == nil || r.expires != expires || len(public) < len(r.url) || string(public[:len(r.url)]) != r.url {
		return public, false
	}
	name, separator := public[len(r.url):], byte('?')
	if i := bytes.IndexByte(name, '?'); i >= 0 {
		if !link.IsPlainQuery(name[i+1:]) {
			return public, false
		}
		for _, own := range s.params {
			if link.HasParam(name[i+1:], own) {
				return public, false
			}
		}
		name, separator = name[:i], '&'
	}
	if !link.IsFileName(name) {
		return public, false
	}
	return append(append(public, separator), r.params...), true
}
