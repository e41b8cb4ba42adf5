package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

// links are the URLs that viewers see for files on the origins: /live/PATH for /PATH, with a token if there is a key, or with
// -seal /live/TOKEN/NAME, which shows at most the file name.
type links struct {
	rewrite.Mapper
	tree   rewrite.Mapper
	signer *sign.Signer // nil: they are not signed
	sealed bool
}

func newLinks(o options) (*links, error) {
	tree, err := rewrite.Prefix("/live/", o.origins[0].URL, o.origins[1:].URLs()...)
	if err != nil {
		return nil, err
	}
	l := &links{Mapper: tree, tree: tree, sealed: o.seal}
	if o.key == "" {
		return l, nil
	}
	keys, err := o.key.Secret()
	if err != nil {
		return nil, err
	}
	c := sign.Config{Keys: keys, TTL: o.ttl, Scope: sign.Directory}
	if l.sealed {
		l.Mapper, err = sign.NewSealer(c, "/live/")
	} else {
		l.signer, err = sign.New(c)
	}
	return l, err
}

// to is the link for a path below /live/.
func (l *links) to(path string) (string, error) {
	if l.signer != nil {
		return l.signer.URL(path)
	}
	if !l.sealed {
		return path, nil
	}
	u, err := url.Parse(path)
	if err != nil {
		return "", err
	}
	upstream, err := l.tree.Upstream(u)
	if err != nil {
		return "", err
	}
	public, err := l.AppendPublic(nil, []byte(upstream))
	return string(public), err
}

// print writes a link for each path.
func (l *links) print(out io.Writer, server string, paths []string) error {
	for _, path := range paths {
		link, err := l.to(path)
		if err != nil {
			return fmt.Errorf("-link %q: %w", path, err)
		}
		fmt.Fprintf(out, "play %s%s\n or open %[1]s/#%s\n", server, link)
	}
	return nil
}

// elsewhere reports whether a URL is not on the origins: a Sealer would seal it as well, but it could not be reached.
func (l *links) elsewhere(ref rewrite.Ref) bool {
	_, err := l.tree.AppendPublic(nil, []byte(ref.URL))
	return strings.HasPrefix(ref.URL, "http") && err != nil
}
