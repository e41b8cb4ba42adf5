package main

import (
	"crypto/rand"
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
)

// session gives the holder of its token a stream and everything below it, until it is revoked.
type session struct {
	ID      int       `json:"id"`
	Viewer  string    `json:"viewer"`
	Link    string    `json:"link"`
	Opens   string    `json:"opens"` // the folder that its token opens, with everything below it
	Made    time.Time `json:"made"`
	Revoked bool      `json:"revoked"`
	Asked   int       `json:"asked"` // how often it was asked about
	Seen    time.Time `json:"seen"`  // when it was last asked about
	Address string    `json:"address"`

	token, stream string
}

// sessions may be used by any number of goroutines.
type sessions struct {
	base string // of the links

	mu      sync.Mutex
	all     []*session
	byToken map[string]*session
}

// mostSessions is how many sessions are remembered. A forgotten one counts as revoked.
const mostSessions = 10_000

const (
	longestName = 200  // of a viewer, in bytes
	longestPath = 2000 // of a playlist
)

var (
	errPath = errors.New("the path of a playlist begins with /live/, has neither dots as folders nor a query, and at most 2000 bytes")
	errName = errors.New("the name of a viewer has at most 200 bytes")
)

// add makes a session for the stream of a playlist: its folder and everything below it.
func (s *sessions) add(viewer, playlist string) (session, error) {
	if path.Clean(playlist) != playlist || !strings.HasPrefix(playlist, "/live/") || strings.ContainsAny(playlist, "?#") || len(playlist) > longestPath {
		return session{}, errPath
	}
	if len(viewer) > longestName {
		return session{}, errName
	}
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &session{
		ID: 1, Viewer: viewer, Link: s.base + (&url.URL{Path: playlist}).EscapedPath() + "?token=" + token, Opens: path.Dir(playlist) + "/",
		Made:  time.Now(),
		token: token, stream: strings.TrimPrefix(path.Dir(playlist), "/"),
	}
	if n := len(s.all); n > 0 {
		one.ID = s.all[n-1].ID + 1
	}
	if s.byToken == nil {
		s.byToken = map[string]*session{}
	}
	if len(s.all) >= mostSessions {
		delete(s.byToken, s.all[0].token)
		s.all = s.all[1:]
	}
	s.all = append(s.all, one)
	s.byToken[token] = one
	return *one, nil
}

// admits decides. A token for one stream opens no other.
func (s *sessions) admits(q sign.Question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byToken[q.Token]
	if one == nil || one.Revoked || q.Name != one.stream && !strings.HasPrefix(q.Name, one.stream+"/") {
		return false
	}
	one.Asked++
	one.Seen, one.Address = time.Now(), q.ClientAddress
	return true
}

func (s *sessions) revoke(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(one *session) bool { return one.ID == id })
	if i < 0 {
		return false
	}
	s.all[i].Revoked = true
	return true
}

// list returns copies, latest first.
func (s *sessions) list() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]session, 0, len(s.all))
	for _, one := range slices.Backward(s.all) {
		out = append(out, *one)
	}
	return out
}
