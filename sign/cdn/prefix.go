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

// prefixed is a scheme whose links open a directory and all below it.
type prefixed struct {
	scheme
	// paramsFor signs a directory, spelled as clients send it: an absolute URL for schemes with hosts, otherwise a path.
	paramsFor func(dir string, expires int64) ([]byte, error)
	cookies   func(prefix string, expires int64) ([]*http.Cookie, error)
	link      func(url string, expires int64) ([]byte, error) // signs one file

	mu     sync.Mutex
	made   map[directory][]byte
	recent atomic.Pointer[recent]
}

// directory is one that was signed.
type directory struct {
	url     string // as the playlist spells it
	expires int64
}

// recent is what was signed last. A playlist usually names the files of one directory in a row.
type recent struct {
	directory
	params []byte
}

const mostDirectories = 1024

// Sign remembers what it made for a directory. So a playlist costs one signature for each directory, and all playlists that
// name a directory share it until their expiry moves on.
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

// SignAlike tells a playlist rewriter that it need not call Sign for each URL: Sign appends the same bytes to all URLs that
// differ from public only in digits, of the file name before the extension or of the query.
func (s *prefixed) SignAlike(_ context.Context, public []byte) bool {
	p, ok := link.Split(public)
	if !ok || p.IsOdd() || bytes.IndexByte(p.Path(), '%') >= 0 {
		return false // a digit could be part of an escape
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

// get returns the parameters that cover the directory of p. It makes them if there are none yet. Others wait meanwhile, so that
// many viewers at once cost one signature. The parameters of a directory above are never used: they open more than the viewer
// is meant to see, and come and go with what others watch.
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

// extendPlainly is a fast path for most URLs of a playlist: a plain file name in the directory of the URL before. If it returns
// false, the URL needs a closer look.
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
