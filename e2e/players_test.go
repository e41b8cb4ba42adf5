package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A player is a column of the matrix.
type player struct {
	name    string
	tool    string   // programs that must be installed
	version []string // the command that prints it; nil: the page reports it
	lane    chan struct{}
	knows   string // parts of the shapes beyond the plain ones that it plays
	plays   func(ctx context.Context, c cell) error
	browser *browser // the lane in which it plays; nil: none
}

// Lanes limit how many players play at a time: a player that decodes as fast as it can takes one of two processors.
var (
	processes = make(chan struct{}, 2)
	tabs      = make(chan struct{}, 5)
	foxTabs   = make(chan struct{}, 4)
)

var players = []player{
	{"ffmpeg", "ffmpeg", []string{"ffmpeg", "-version"}, processes, "iframes", ffmpegCell, nil},
	{"mpv", "mpv", []string{"mpv", "--version"}, processes, "iframes", again(mpvCell, saysTooLittle), nil},
	{"VLC", "cvlc", []string{"cvlc", "--version"}, processes, "subtitles iframes", vlcCell, nil},
	{"GStreamer", "gst-launch-1.0", []string{"gst-launch-1.0", "--version"}, processes, "subtitles", again(gstreamerCell, givesUpAtOnce), nil},
	{"hls.js", "chromium", nil, tabs, "subtitles iframes breaks parts", theBrowser.cell("hls.js"), theBrowser},
	{"Shaka", "chromium", nil, tabs, "subtitles iframes breaks parts thumbnails", again(theBrowser.cell("Shaka"), cannotAppend), theBrowser},
	{"video.js", "chromium", nil, tabs, "subtitles parts", theBrowser.cell("video.js"), theBrowser},
	{"Chromium", "chromium", []string{"chromium", "--version"}, tabs, "", again(theBrowser.cell("native"), cannotParse), theBrowser},
	{"Firefox + hls.js", "firefox-esr", []string{"firefox-esr", "--version"}, foxTabs, "subtitles iframes breaks parts", theFirefox.cell("hls.js"), theFirefox},
}

// look is the part of a shape beyond picture and sound.
func (s shape) look() string {
	return map[string]string{"subtitles": "subtitles", "I-frame playlist": "iframes", "interstitials": "breaks", "LL-HLS": "parts", "thumbnails": "thumbnails"}[s.name]
}

func (s shape) live() bool { return s.name == "live window" || s.name == "LL-HLS" }

func (p player) does(look string) bool {
	return look == "" || strings.Contains(p.knows, look)
}

// seek goes close to the end of a film. The player plays the rest. Browsers play in real time, so they get less.
const seek, browserSeek, length = 17.0, 18.5, 20.0

func (b *browser) cell(name string) func(context.Context, cell) error {
	return func(ctx context.Context, c cell) error {
		j := job{Player: name, URL: c.link(c.shape.playlist), Look: c.shape.look(), Plan: "through"}
		if c.seek {
			j.Seek = browserSeek
		}
		if c.shape.live() || j.Look == "breaks" && c.extra { // interstitials are sat through, not jumped over
			j.Plan = "on"
		}
		id, err := b.open(j)
		if err != nil {
			return err
		}
		defer b.close(id)
		r, err := b.await(ctx, id, func(r report) bool { return r.fatal() != nil || c.seen(r) })
		switch {
		case r.fatal() != nil:
			return fmt.Errorf("%+v", *r.fatal())
		case err != nil:
			return err
		case r.Frames == 0:
			return errors.New("no frames")
		case !c.shape.live() && (r.Duration < length-0.5 || r.Duration > length+0.5):
			return fmt.Errorf("it takes the film for %g s long", r.Duration)
		}
		for _, host := range r.Hosts {
			if !strings.HasPrefix(c.link(c.shape.playlist), host+"/") {
				return fmt.Errorf("it asked %s", host)
			}
		}
		return nil
	}
}

// again gives a player three tries at a shape that sometimes fails without a proxy, too.
func again(plays func(context.Context, cell) error, known func(c cell, says string) bool) func(context.Context, cell) error {
	return func(ctx context.Context, c cell) error {
		err := plays(ctx, c)
		for n := 1; n < 3 && err != nil && known(c, err.Error()); n++ {
			time.Sleep(3 * time.Second)
			err = plays(ctx, c)
		}
		return err
	}
}

// cannotParse: Chromium's own HLS cannot parse a low-latency playlist while it ends in certain ways, for a segment or two,
// and does not try again by itself.
func cannotParse(c cell, says string) bool {
	return c.shape.live() && strings.Contains(says, "COULD_NOT_PARSE")
}

// cannotAppend: on an overloaded machine, Chromium once refused a part that Shaka gave it. The bytes from the proxies were
// compared at such times, and were right.
func cannotAppend(c cell, says string) bool {
	return c.shape.live() && strings.Contains(says, "Shaka 3014")
}

// saysTooLittle: mpv plays as fast as it can and prints its position from time to time. On an overloaded machine, the last one
// was once long before the end.
func saysTooLittle(_ cell, says string) bool {
	return strings.Contains(says, "mpv plays from")
}

// givesUpAtOnce: rarely, GStreamer 1.22 counts three failed downloads within an instant, whatever it plays.
func givesUpAtOnce(_ cell, says string) bool {
	return strings.Contains(says, "failed consecutive times")
}

// seen reports whether a page has shown everything that its cell demands.
func (c cell) seen(r report) bool {
	if c.extra {
		switch c.shape.look() {
		case "subtitles":
			return r.over() && r.Cues > 0
		case "iframes":
			return r.over() && r.IFrames > 0
		case "breaks":
			return r.Breaks >= 2 && r.Played > 1
		case "thumbnails":
			return r.over() && r.Thumbnails == 10
		case "parts":
			return r.Played >= 4 && r.Parts >= 4
		}
	}
	if c.shape.live() {
		return r.Played >= 4
	}
	return r.over()
}

// over reports that nothing is left to play. Chromium's own HLS sometimes stops at the end and does not report it, also without
// a proxy.
func (r report) over() bool { return r.Ended || r.Duration > 0 && r.CurrentTime >= r.Duration }

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)
