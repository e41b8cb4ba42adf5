package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// Ask admits requests that a backend vouches for: the viewer's URL carries a token of any form, and for each viewer, stream
// and kind of request the backend is asked once in a while whether it is good. Its Handler stands where that of a Signer
// would, and its Sign is the hook that gives the token to the links in a playlist.
//
// Set URL or Decide; with neither, everything is refused. At most 4,096 questions are under way at a time; a viewer whose
// question would be one more gets 503. The fields must not change after the first use, nor may an Ask be copied then.
type Ask struct {
	// URL is asked by POST with a Question in JSON. 200 admits, 401 and 403 refuse; any other answer, none within Timeout
	// and a redirect count as a failure, and the viewer gets 503.
	URL string

	// Decide is asked if URL is empty. Nil admits. An error refuses, with its HTTPStatus if it has one. Called concurrently;
	// ctx ends with Timeout. It holds no values of the viewer's request, whose answer others share, but the grant that
	// FromContext returns: viewers share an answer only if their grants are equal too.
	Decide func(ctx context.Context, q Question) error

	// Param is the query parameter that holds the viewer's token. Empty: token. An "Authorization: Bearer" field is taken
	// if there is no parameter. Neither goes further in.
	Param string

	// Anonymous asks about requests without a token as well. False: they are answered 401.
	Anonymous bool

	// Kinds are those that are asked about. Nil: all. Others pass as they are, so leave it nil where a viewer can choose the
	// public path of what it requests, as with an upstream URL in a query parameter: the path is what tells the Kind. A path
	// that a server could take for one of them in any spelling is asked about.
	Kinds []Kind

	// TTL is how long an answer holds, and so how long a token can live on after it has been revoked. Zero: 10 seconds.
	// Negative: it is asked each time, but for requests that wait at the same moment.
	TTL time.Duration

	// OnFailure is told why the backend could not be asked. Nil: the log of package log. Called concurrently.
	OnFailure func(error)

	// Rarely needed:

	// RefusalTTL is TTL for refusals. Zero: a fifth of TTL. Failures hold for a second at most.
	RefusalTTL time.Duration

	// Timeout is how long an answer may take. Zero: 3 seconds. Negative: no limit.
	Timeout time.Duration

	// Status is the answer to a viewer that the backend refuses. Zero: 403.
	Status int

	// Describe may change the question that is asked about a request, such as its Name. Two requests with equal questions
	// share an answer. Nil: it is asked as it is.
	Describe func(*http.Request, *Question)

	// NodeID and AppKey go into each question.
	NodeID, AppKey string

	// Header lists fields of the backend's answer that are set on the answer to the viewer.
	Header []string

	// Client sends the questions. Nil: one that follows no redirects, with http.DefaultTransport.
	Client *http.Client

	mu      sync.Mutex
	answers map[askKey]*answer
	asking  int // questions under way
}

const (
	defaultAskTTL     = 10 * time.Second
	defaultAskTimeout = 3 * time.Second
	failureTTL        = time.Second
)

// Handler passes admitted requests on to next, without their token. Others are answered 401 if there is no token, Status if it
// is refused or 403 if there are two or the path could mean more than one thing (escaped slashes, dot segments), 503 if nobody
// could be asked, all with Cache-Control: no-store. Mount it inside the CORS middleware.
func (a *Ask) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, q, asks, err := a.question(r)
		if err != nil {
			writeRefusal(w, statusOf(err), "Bearer")
			return
		}
		if asks {
			if q.Token == "" && !a.Anonymous {
				writeRefusal(w, http.StatusUnauthorized, "Bearer")
				return
			}
			got := a.answer(r.Context(), &q)
			if got.status != http.StatusOK {
				writeRefusal(w, got.status, "Bearer")
				return
			}
			for name, values := range got.header {
				w.Header()[name] = append([]string(nil), values...)
			}
		}
		next.ServeHTTP(w, a.strip(r, raw))
	})
}

// Sign appends the viewer's token to public, if it was in the query of the request that ctx belongs to. A URL that has the
// parameter already keeps it: with two it would be refused. It is the Sign hook of a playlist rewriter.
func (a *Ask) Sign(ctx context.Context, public []byte) ([]byte, error) {
	t, ok := ctx.Value(askToken{a}).(string)
	if !ok || t == "" {
		return public, nil
	}
	p, ok := link.Split(public)
	if !ok {
		return public, ErrURL
	}
	if query, _ := p.Query(); link.HasParam(query, a.param()) {
		return public, nil
	}
	return p.Insert([]byte(t)), nil
}

// SignAlike tells a playlist rewriter that it need not call Sign for each URL: see [Signer.SignAlike].
func (a *Ask) SignAlike(context.Context, []byte) bool {
	return !strings.ContainsAny(a.param(), link.Digits)
}

// askToken is the key of param=token in a context, as it stood in the query. Each Ask of several in a row has its own.
type askToken struct{ ask *Ask }

func (a *Ask) param() string {
	if a.Param == "" {
		return "token"
	}
	return a.Param
}

// strip returns a copy of r without the token, which the context keeps for Sign.
func (a *Ask) strip(r *http.Request, raw string) *http.Request {
	ctx := r.Context()
	if raw != "" {
		ctx = context.WithValue(ctx, askToken{a}, a.param()+"="+raw)
	}
	out := stripRequest(r.WithContext(ctx), a.param())
	if bearer(r) != "" {
		out.Header = r.Header.Clone()
		out.Header.Del("Authorization")
	}
	return out
}

// answer is what a question led to, once done is closed.
type answer struct {
	done    chan struct{}
	expires time.Time // zero while it is being asked
	status  int
	header  http.Header
}

// mostAnswers bounds what is remembered, and mostAsking what is asked at a time: a stranger can ask any number of questions,
// and go before they are answered.
const (
	mostAnswers = 1 << 14
	mostAsking  = 1 << 12
)

// answer returns the answer that holds, or asks. Any number of viewers wait for the same one, and none of them ends it by
// leaving.
func (a *Ask) answer(ctx context.Context, q *Question) *answer {
	g, granted := FromContext(ctx)
	key := q.whole(g)
	a.mu.Lock()
	got := a.answers[key]
	if got == nil || !got.expires.IsZero() && !time.Now().Before(got.expires) {
		if a.asking == mostAsking {
			a.mu.Unlock()
			return &answer{status: http.StatusServiceUnavailable}
		}
		a.asking++
		got = &answer{done: make(chan struct{})}
		a.makeRoom()
		a.answers[key] = got
		asking := context.Background()
		if granted {
			asking = NewContext(asking, g)
		}
		go a.ask(asking, key, *q, got)
	}
	a.mu.Unlock()
	select {
	case <-got.done:
		return got
	case <-ctx.Done():
		return &answer{status: http.StatusServiceUnavailable}
	}
}

// makeRoom forgets what no longer holds, and if that is not enough, any.
func (a *Ask) makeRoom() {
	if a.answers == nil {
		a.answers = make(map[askKey]*answer)
	}
	if len(a.answers) < mostAnswers {
		return
	}
	now := time.Now()
	for k, got := range a.answers {
		if !got.expires.IsZero() && !now.Before(got.expires) {
			delete(a.answers, k)
		}
	}
	for k := range a.answers {
		if len(a.answers) < mostAnswers*3/4 {
			return
		}
		delete(a.answers, k)
	}
}

func (a *Ask) ask(ctx context.Context, key askKey, q Question, got *answer) {
	timeout, cancel := a.Timeout, context.CancelFunc(func() {})
	if timeout == 0 {
		timeout = defaultAskTimeout
	}
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	result := make(chan *answer, 1)
	go func() {
		var res *answer
		defer func() {
			if res == nil {
				res = a.failed(errors.New("sign: Decide has ended its goroutine"))
			}
			result <- res
		}()
		res = a.try(ctx, q)
	}()
	var res *answer
	select {
	case res = <-result:
	case <-ctx.Done(): // Decide may not look at its context
		res = a.failed(ctx.Err())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking--
	got.status, got.header = res.status, res.header
	got.expires = time.Now().Add(a.holds(got.status))
	if a.answers[key] == got && !time.Now().Before(got.expires) {
		delete(a.answers, key)
	}
	close(got.done)
}

// holds returns how long an answer is good for.
func (a *Ask) holds(status int) time.Duration {
	ttl := a.TTL
	if ttl == 0 {
		ttl = defaultAskTTL
	}
	switch {
	case status == http.StatusOK:
		return ttl
	case status == http.StatusServiceUnavailable:
		return min(ttl, failureTTL)
	case a.RefusalTTL != 0:
		return a.RefusalTTL
	}
	return ttl / 5
}

// try asks, and refuses whatever goes wrong on the way.
func (a *Ask) try(ctx context.Context, q Question) (res *answer) {
	defer func() {
		if p := recover(); p != nil {
			res = a.failed(fmt.Errorf("sign: panic while asking: %v", p))
		}
	}()
	switch {
	case a.URL != "":
		return a.post(ctx, q)
	case a.Decide == nil:
		return a.failed(errors.New("sign: Ask has neither URL nor Decide"))
	}
	err := a.Decide(ctx, q)
	var known interface{ HTTPStatus() int }
	switch {
	case err == nil:
		return &answer{status: http.StatusOK}
	case errors.As(err, &known):
		return &answer{status: statusOf(err)}
	}
	return a.refused()
}

func (a *Ask) refused() *answer {
	if a.Status != 0 {
		return &answer{status: a.Status}
	}
	return &answer{status: http.StatusForbidden}
}

func (a *Ask) failed(err error) *answer {
	if a.OnFailure == nil {
		log.Print(err)
	} else {
		a.report(err)
	}
	return &answer{status: http.StatusServiceUnavailable}
}

// report calls OnFailure. A panic there must not end the process, nor a runtime.Goexit leave viewers waiting.
func (a *Ask) report(err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				log.Printf("sign: OnFailure panicked: %v; it was told of: %v", p, err)
			}
		}()
		a.OnFailure(err)
	}()
	<-done
}

// post asks the backend over HTTP.
func (a *Ask) post(ctx context.Context, q Question) *answer {
	body, err := json.Marshal(q)
	if err != nil {
		return a.failed(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(body))
	if err != nil {
		return a.failed(err)
	}
	r.Header.Set("Content-Type", "application/json")
	client := a.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(r)
	if err != nil {
		return a.failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	switch resp.StatusCode {
	case http.StatusOK:
		return &answer{status: http.StatusOK, header: pick(resp.Header, a.Header)}
	case http.StatusUnauthorized, http.StatusForbidden:
		return a.refused()
	}
	return a.failed(fmt.Errorf("sign: backend answered %s", resp.Status))
}

func pick(h http.Header, names []string) http.Header {
	out := http.Header{}
	for _, n := range names {
		if v := h.Values(n); len(v) > 0 {
			out[http.CanonicalHeaderKey(n)] = v
		}
	}
	return out
}
