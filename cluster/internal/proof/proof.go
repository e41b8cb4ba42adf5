// Package proof lets nodes with a shared secret verify each other's requests: who made one, that nobody changed it, that it is
// new, and that it was meant for this node.
//
// A request is signed for one receiver, which is named by a random ID that changes at each start. So a request that was
// overheard is useless at another node, at the same node after a restart, and a second time.
package proof

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The fields that carry a proof.
const (
	Field  = "Hlsproxy-Proof"  // of requests: time, sender, number, code
	Signed = "Hlsproxy-Signed" // of requests: the names of the fields that the code covers
	Node   = "Hlsproxy-Node"   // of answers: the ID of the receiver
	Answer = "Hlsproxy-Answer" // of answers: their code
)

// Window is how old a request may be, and how far ahead the clock of its sender.
const Window = 30 * time.Second

// ErrRefused is a request without a valid proof. Why is for logs.
var ErrRefused = errors.New("cluster: no valid proof")

// Keeper signs requests and checks those of others. Its methods may be called concurrently.
type Keeper struct {
	ID     string // random, new at each start of this node
	secret []byte
	count  atomic.Uint64
	seen   windows
}

// New returns a Keeper for a node that starts now.
func New(secret []byte) *Keeper {
	return &Keeper{ID: rand.Text()[:16], secret: slices.Clone(secret)}
}

// Sign adds a proof to a request for this target and for the receiver with this ID. It covers all fields of h, which must not
// change afterwards. It returns the code, with which the answer is checked.
func (k *Keeper) Sign(method, target string, h http.Header, to string) (code string) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	p := stamp{
		at: time.Now().UnixMilli(), from: k.ID, number: k.count.Add(1),
	}
	signed := strings.Join(names, ",")
	code = k.request(method, target, h, names, to, p)
	h[Signed] = []string{signed}
	h[Field] = []string{p.String() + " " + code}
	return code
}

// Check reports whether a request has a proof that is valid here and now, and is used for the first time. It returns its code,
// and the fields that it covers; a node sent no other fields.
func (k *Keeper) Check(method, target string, h http.Header) (code string, covered http.Header, err error) {
	if len(h[Field]) != 1 || len(h[Signed]) != 1 {
		return "", nil, ErrRefused
	}
	p, code, ok := parse(h[Field][0])
	if !ok {
		return "", nil, ErrRefused
	}
	covered = http.Header{}
	var names []string
	if h[Signed][0] != "" {
		names = strings.Split(h[Signed][0], ",")
	}
	for i, name := range names {
		if i > 0 && name <= names[i-1] {
			return "", nil, ErrRefused // no field may come twice: the work must not exceed what was sent
		}
		covered[name] = h[name]
	}
	want := k.request(method, target, covered, names, k.ID, p)
	if subtle.ConstantTimeCompare([]byte(want), []byte(code)) != 1 {
		return "", nil, ErrRefused
	}
	now := time.Now()
	if age := now.Sub(time.UnixMilli(p.at)); age > Window || age < -Window {
		return "", nil, ErrRefused
	}
	if !k.seen.first(p.from, p.number, now) {
		return "", nil, ErrRefused
	}
	return code, covered, nil
}

// Reply is the code of an answer with these values to a request with this code. It proves that the sender of the answer has the
// secret.
func (k *Keeper) Reply(code string, said ...string) string {
	m := hmac.New(sha256.New, k.secret)
	put(m, "hlsproxy answer 1")
	put(m, code)
	for _, s := range said {
		put(m, s)
	}
	return encoded(m)
}

// IsReply checks the code of an answer.
func (k *Keeper) IsReply(got, code string, said ...string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(k.Reply(code, said...))) == 1
}

// Name is a short name for a value that must not be guessed from it.
func (k *Keeper) Name(of string) string {
	m := hmac.New(sha256.New, k.secret)
	put(m, "hlsproxy name 1")
	put(m, of)
	return strings.ToLower(strings.NewReplacer("-", "x", "_", "y").Replace(encoded(m)[:8]))
}

func (k *Keeper) request(method, target string, h http.Header, names []string, to string, p stamp) string {
	m := hmac.New(sha256.New, k.secret)
	put(m, "hlsproxy request 1")
	put(m, method)
	put(m, target)
	put(m, to)
	put(m, p.String())
	for _, name := range names {
		put(m, name)
		put(m, strconv.Itoa(len(h[name])))
		for _, v := range h[name] {
			put(m, v)
		}
	}
	return encoded(m)
}

// put writes s so that no two lists of strings give the same bytes.
func put(m hash.Hash, s string) {
	m.Write(strconv.AppendInt(nil, int64(len(s)), 10))
	m.Write([]byte{':'})
	m.Write([]byte(s))
}

func encoded(m hash.Hash) string { return base64.RawURLEncoding.EncodeToString(m.Sum(nil)) }

// stamp makes a request unique.
type stamp struct {
	at     int64 // Unix time in milliseconds
	from   string
	number uint64
}

func (p stamp) String() string {
	return strconv.FormatInt(p.at, 10) + " " + p.from + " " + strconv.FormatUint(p.number, 10)
}

func parse(s string) (p stamp, code string, ok bool) {
	f := strings.Split(s, " ")
	if len(f) != 4 || len(f[1]) != 16 {
		return stamp{}, "", false
	}
	at, err1 := strconv.ParseInt(f[0], 10, 64)
	n, err2 := strconv.ParseUint(f[2], 10, 64)
	p = stamp{at: at, from: f[1], number: n}
	return p, f[3], err1 == nil && err2 == nil && p.String() == strings.Join(f[:3], " ")
}
