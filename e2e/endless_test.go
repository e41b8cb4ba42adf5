package e2e

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// All viewers of an endless stream share one connection to its origin. The first ones see all of it, and later ones begin near
// its live edge.
func TestEndlessStreamsPlay(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*station{"stream.ts": television(t), "radio.mp3": radio(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, s)
			p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-cache", "64MiB")
			link := p.proxied(o.URL + "/" + name)
			var all, came sync.WaitGroup
			came.Add(len(listeners))
			all.Go(func() {
				came.Wait()
				time.Sleep(5 * time.Second)
				close(s.over)
			})
			for _, l := range listeners {
				all.Go(func() {
					here := sync.OnceFunc(came.Done)
					defer here()
					t.Run(l.name, func(t *testing.T) {
						requireTool(t, l.tool)
						first := l.tune(t, link, s)
						<-first.came
						s.await(7 * time.Second)
						late := l.tune(t, link, s)
						<-late.came
						here()
						first.requireAll(t)
						late.requireEdge(t)
					})
				})
			}
			all.Wait()
			require.Equal(t, 1, s.asked)
		})
	}
}

// A station sends a programme in real time, without a length, from its beginning. It can be told to end between two units.
type station struct {
	contentType string
	pictures    bool
	units       [][]byte
	each        time.Duration // of a unit
	over        chan struct{}

	mu    sync.Mutex
	asked int // before it was over
	began time.Time
	sent  time.Duration
}

func (s *station) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.over:
		http.NotFound(w, r) // VLC asks for what comes after the end
		return
	default:
	}
	w.Header().Set("Content-Type", s.contentType)
	began := s.begin()
	const turn = 40 * time.Millisecond
	turns := max(1, int(s.each/turn)) // in which a unit is sent
	for n, unit := range s.units {
		for i := range turns {
			time.Sleep(time.Until(began.Add(s.each*time.Duration(n) + s.each*time.Duration(i+1)/time.Duration(turns))))
			w.Write(unit[len(unit)*i/turns : len(unit)*(i+1)/turns])
			http.NewResponseController(w).Flush()
		}
		s.note(s.each * time.Duration(n+1))
		select {
		case <-s.over:
			return
		case <-r.Context().Done():
			return
		default:
		}
	}
}

func (s *station) begin() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.began = time.Now()
	return s.began
}

func (s *station) note(sent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = sent
}

func (s *station) noted() (began time.Time, sent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.sent
}

// await waits until the station has sent a part of the programme.
func (s *station) await(d time.Duration) {
	for _, sent := s.noted(); sent < d; _, sent = s.noted() {
		time.Sleep(20 * time.Millisecond)
	}
}

// television is ten minutes of MPEG-TS with a key frame every two seconds.
func television(t *testing.T) *station {
	return &station{contentType: "video/mp2t", pictures: true, units: newChannel(t).segments, each: segment, over: make(chan struct{})}
}

// radio is ten minutes of MP3: at 48 kHz and 128 kbit/s each frame has 24 ms and 384 bytes.
func radio(t *testing.T) *station {
	const size = 384
	name := filepath.Join(t.TempDir(), "radio.mp3")
	require.NoError(t, ffmpegMakes("-f", "lavfi", "-i", "sine=frequency=440", "-t", "600", "-ar", "48000", "-ac", "2",
		"-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0", name))
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	s := &station{contentType: "audio/mpeg", each: 24 * time.Millisecond, over: make(chan struct{})}
	for ; len(b) >= size; b = b[size:] {
		require.Equal(t, []byte{0xff, 0xfb}, b[:2])
		s.units = append(s.units, b[:size])
	}
	return s
}

// seconds is the length of a number of frames of the programme.
func (s *station) seconds(frames int) float64 {
	if s.pictures {
		return float64(frames) / 25
	}
	return float64(frames) * s.each.Seconds()
}

// A listener is a player that plays to the end of a programme, and returns how many seconds it has played.
type listener struct {
	name, tool string
	plays      func(ctx context.Context, s *station, link string) (float64, error)
}

var listeners = []listener{
	{"ffmpeg", "ffmpeg", func(ctx context.Context, s *station, link string) (float64, error) {
		out, err := output(ctx, nil, "ffmpeg", "-v", "error", "-xerror", "-nostdin", "-i", link, "-map", "0:v?", "-map", "0:a", "-f", "framecrc", "-")
		return s.seconds(bytes.Count(out, []byte("\n0,"))), err
	}},
	{"mpv", "mpv", func(ctx context.Context, _ *station, link string) (float64, error) {
		_, end, err := mpvSpan(ctx, link) // it counts from where it begins
		return end, err
	}},
	{"VLC", "cvlc", func(ctx context.Context, s *station, link string) (float64, error) {
		out, err := output(ctx, nil, "cvlc", "-q", "--intf", "dummy", "--sout", "#std{access=file,mux=ts,dst=-}", link, "vlc://quit")
		if err != nil {
			return 0, err
		}
		frames, err := packetsIn(ctx, out, map[bool]string{true: "v:0", false: "a:0"}[s.pictures])
		return s.seconds(frames), err
	}},
	{"GStreamer", "gst-launch-1.0", func(ctx context.Context, s *station, link string) (float64, error) {
		kind := map[bool]string{true: "video/x-raw", false: "audio/x-raw"}[s.pictures]
		out, err := output(ctx, nil, "gst-launch-1.0", "-v", "uridecodebin3", "uri="+link, "!", kind, "!", "fakesink", "sync=false", "silent=false")
		var seconds float64
		for _, buffer := range gstBuffer.FindAllSubmatch(out, -1) {
			d, _ := strconv.ParseFloat(string(buffer[1]), 64)
			seconds += d
		}
		return seconds, err
	}},
}

var gstBuffer = regexp.MustCompile(`chain.* duration: 0:00:(\d+\.\d+)`)

// A tuned player plays a programme.
type tuned struct {
	s       *station
	came    chan struct{} // closed when its request is there
	at      time.Duration // of the programme, when it came
	ended   chan struct{}
	seconds float64
	err     error
}

// tune lets a player play through a server that sees its request.
func (l listener) tune(t *testing.T, link string, s *station) *tuned {
	to, err := url.Parse(link)
	require.NoError(t, err)
	p := &tuned{s: s, came: make(chan struct{}), ended: make(chan struct{})}
	asks := sync.OnceFunc(func() {
		if began, _ := s.noted(); !began.IsZero() {
			p.at = time.Since(began)
		}
		close(p.came)
	})
	server := &url.URL{Scheme: to.Scheme, Host: to.Host}
	front := startOrigin(t, &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) },
		ModifyResponse: func(*http.Response) error { asks(); return nil }})
	go func() {
		defer close(p.ended)
		defer asks()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p.seconds, p.err = l.plays(ctx, s, front.URL+to.RequestURI())
	}()
	return p
}

// lost is what players may drop at the beginning or the end, and what a stream may lag on a busy machine.
const lost = 2.0

// requireAll requires that the player played from the beginning. It must have come before the live edge moved on.
func (p *tuned) requireAll(t *testing.T) {
	t.Helper()
	missed := p.at
	if p.at < 4*time.Second {
		missed = 0
	}
	p.requireSpan(t, missed, 0)
}

// requireEdge requires that the player played from the time of its request, and from no earlier than the key frame before that.
func (p *tuned) requireEdge(t *testing.T) {
	t.Helper()
	p.requireSpan(t, p.at, p.at-segment)
}

func (p *tuned) requireSpan(t *testing.T, latest, earliest time.Duration) {
	t.Helper()
	<-p.ended
	require.NoError(t, p.err)
	_, sent := p.s.noted()
	require.GreaterOrEqual(t, p.seconds, (sent-latest).Seconds()-lost, "who came after %v saw so much of %v", p.at, sent)
	require.LessOrEqual(t, p.seconds, (sent-earliest).Seconds()+lost, "who came after %v saw so much of %v", p.at, sent)
}
