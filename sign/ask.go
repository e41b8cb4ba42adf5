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

// Ask admits requests if a backend accepts the viewer's token, which may have any form. For each viewer, stream and kind of
// request, the backend is asked once in a while whether the token is good. Mount its Handler where that of a Signer would be;
// its Sign is the hook that adds the token to the links in a playlist.
//
// Set URL or Decide; with neither, everything is refused. At most 4,096 questions to the backend are under way at a time, with
// those that Decide goes on with after their time; a viewer who would need one more gets a 503. The fields must not change
// after the first use, and an Ask must not be copied after it.
type Ask struct {
	// URL is asked by POST with a Question in JSON. 200 admits, 401 and 403 refuse. Any other answer, none within Timeout, and
	// a redirect are failures, and the viewer gets a 503.
	URL string

	// Decide is asked if URL is empty. Nil admits. An error refuses, with its HTTPStatus if it has one. It is called
	// concurrently. ctx ends after Timeout. It has no values of the viewer's request, because others share the answer, except
	// the grant that FromContext returns: viewers share an answer only if their grants are equal, too.
	Decide func(ctx context.Context, q Question) error

	// Param is the query parameter with the viewer's token. Empty: token. An "Authorization: Bearer" field is used if there is
	// no parameter. Neither is passed on.
	Param string

	// Anonymous also asks the backend about requests without a token. False: they are answered with 401.
	Anonymous bool

	// Kinds are the kinds of requests that the backend is asked about. Nil: all. Others pass unchecked, so leave it nil if a
	// viewer can choose the public path of a request, for example with an upstream URL in a query parameter: the path decides
	// the Kind. The backend is asked about every path that a server could take for one of Kinds, in any spelling.
	Kinds []Kind

	// TTL is how long an answer is used, and so how long a revoked token can still work. Zero: 10 seconds. Negative: the
	// backend is asked each time, once for all requests that wait at the same moment.
	TTL time.Duration

	// OnFailure is told why the backend could not be asked. Nil: the reason goes to package log. It is called concurrently.
	OnFailure func(error)

	// Rarely needed:

	// RefusalTTL is the TTL of refusals. Zero: a fifth of TTL. Failures are remembered for at most a second.
	RefusalTTL time.Duration

	// Timeout is how long an answer may take. Zero: 3 seconds. Negative: no limit.
	Timeout time.Duration

	// Status is the status for a viewer that the backend refuses. Zero: 403.
	Status int

	// Describe may change the question about a request, for example its Name. Requests with equal questions share an answer.
	// Nil: no change.
	Describe func(*http.Request, *Question)

	// NodeID and AppKey are part of each question.
	NodeID, AppKey string

	// Header lists fields of the backend's answer that are copied to the answer to the viewer.
	Header []string

	// Client sends the questions. It follows redirects only if it has a CheckRedirect. Nil: one with http.DefaultTransport.
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

// Handler passes admitted requests on to next, without their token. Others get a 401 if there is no token, Status if the
// backend refuses, 403 if there are two tokens or the path is ambiguous (escaped slashes, dot segments), and 503 if the backend
// could not be asked, all with Cache-Control: no-store. Mount it inside the CORS middleware.
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

// Sign appends the viewer's token to public, if it was in the query of the request to which ctx belongs. A URL that already has
// the parameter keeps it: with two it would be refused. It is the Sign hook of a playlist rewriter.
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

// askToken is the context key of param=token, as it was in the query. If several Asks follow each other, each has its own.
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

// answer is the result of a question, after done is closed.
type answer struct {
	done    chan struct{}
	expires time.Time // zero while it is being asked
	status  int
	header  http.Header
}

// mostAnswers bounds the remembered answers, and mostAsking the questions under way: a stranger can cause any number of
// questions, and leave before they are answered.
const (
	mostAnswers = 1 << 14
	mostAsking  = 1 << 12
)

// answer returns a valid answer, or asks. Any number of viewers wait for the same one. A viewer that leaves does not end it.
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

// makeRoom forgets expired answers and, if that is not enough, any others.
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
			a.mu.Lock()
			a.asking--
			a.mu.Unlock()
			result <- res
		}()
		res = a.try(ctx, q)
	}()
	var res *answer
	select {
	case res = <-result:
	case <-ctx.Done(): // Decide may ignore its context
		res = a.failed(ctx.Err())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	got.status, got.header = res.status, res.header
	got.expires = time.Now().Add(a.holds(got.status))
	if a.answers[key] == got && !time.Now().Before(got.expires) {
		delete(a.answers, key)
	}
	close(got.done)
}

// holds returns how long an answer is valid.
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

// try asks, and refuses if anything goes wrong.
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
	client := http.Client{}
	if a.Client != nil {
		client = *a.Client
	}
	if client.CheckRedirect == nil {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := client.Do(r)
	if err != nil {
		return a.failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be reused
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
