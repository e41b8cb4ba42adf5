package main

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"

	"github.com/hlsproxy/hlsproxy/sign"
)

// links makes the links with which the page plays, and ends them. A link is a session: one token opens all of /signed/live/.
type links struct {
	signer *sign.Signer

	mu    sync.Mutex
	ended map[string]bool // sessions
}

func newLinks() (*links, error) {
	l := &links{ended: map[string]bool{}}
	secret := make([]byte, 32)
	rand.Read(secret)
	var err error
	l.signer, err = sign.New(sign.Config{Keys: []sign.Key{{ID: "demo", Secret: secret}}, Scope: sign.Directory, Refuse: l.refuse})
	return l, err
}

// link is a session and its first URL, in both shapes of the stream.
type link struct {
	Session string `json:"session"`
	FMP4    string `json:"fmp4"`
	TS      string `json:"ts"`
}

func (l *links) mint() (link, error) {
	grant, err := l.signer.Grant(nil)
	if err != nil {
		return link{}, err
	}
	grant.Session = rand.Text()
	fmp4, err := l.signer.URLUnder(grant, "/signed/live/master.m3u8")
	if err != nil {
		return link{}, err
	}
	ts, err := l.signer.URLUnder(grant, "/signed/live/ts/master.m3u8")
	return link{grant.Session, fmp4, ts}, err
}

// end makes a session's link invalid at once, instead of after its day.
func (l *links) end(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[session] = true
}

var errEnded = errors.New("this link has ended")

func (l *links) refuse(_ *http.Request, g sign.Grant) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended[g.Session] {
		return errEnded
	}
	return nil
}
