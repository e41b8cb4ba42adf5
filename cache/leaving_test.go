package cache_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// ended is a context that has ended. It shows that only when it is told to.
type ended struct {
	context.Context
	let <-chan struct{}
}

func (c ended) Done() <-chan struct{} {
	<-c.let
	return c.Context.Done()
}

// heeding is a body that breaks when its request ends.
type heeding struct {
	ctx context.Context
	*strings.Reader
}

func (b heeding) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, b.ctx.Err()
	}
	return b.Reader.Read(p)
}

func TestALeavingViewerDoesNotTakeAnothersAnswer(t *testing.T) {
	for range 20 { // a select with two ready cases chooses at random
		asked, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
		c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) {
			close(asked)
			<-release
			return reply{header: head("Cache-Control", "private"), body: heeding{r.Context(), strings.NewReader("abc")}}.response(r), nil
		})}
		took := make(chan *http.Response, 1)
		go func() {
			resp, err := c.RoundTrip(request(t, context.Background(), segURL))
			if err != nil {
				t.Error(err)
			}
			took <- resp
		}()
		<-asked
		let, joined := make(chan struct{}), make(chan struct{})
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		go func() {
			defer close(left)
			close(joined)
			resp, err := c.RoundTrip(request(t, ended{gone, let}, segURL))
			if err == nil {
				resp.Body.Close()
			}
		}()
		<-joined
		time.Sleep(time.Millisecond) // until it waits
		close(release)
		resp := <-took
		close(let)
		<-left
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "abc", string(body))
		resp.Body.Close()
	}
}
