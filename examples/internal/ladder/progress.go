package ladder

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// progress reads the output of ffmpeg's -progress: lines such as out_time_us=1500000, with times of the film.
type progress struct {
	of      time.Duration // length of the film; 0: unknown
	percent func(int)
	line    []byte // the beginning of an incomplete line
}

func (p *progress) Write(b []byte) (int, error) {
	p.line = append(p.line, b...)
	for {
		line, rest, whole := bytes.Cut(p.line, []byte("\n"))
		if !whole {
			p.line = p.line[:min(len(p.line), 4<<10)]
			return len(b), nil
		}
		p.line = rest
		p.read(strings.TrimSpace(string(line)))
	}
}

func (p *progress) read(line string) {
	text, ok := strings.CutPrefix(line, "out_time_us=")
	us, err := strconv.ParseFloat(text, 64) // N/A at the beginning
	if ok && err == nil && us >= 0 && p.of > 0 {
		p.percent(int(min(99, 100*us/float64(p.of.Microseconds())))) // 100 means that the film plays
	}
}
