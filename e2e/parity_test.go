package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// A stream that plays directly also plays through corsproxy. The test plays each row of habits in each player, from the origin
// itself and through the proxy. Without HLSPROXY_MATRIX=full in the environment only some players play. -update writes
// docs/origins.md.
func TestParity(t *testing.T) {
	full := os.Getenv("HLSPROXY_MATRIX") == "full"
	table := &parities{marks: map[[2]string]string{}}
	plain := []string{"-allow", "127.0.0.0/8", "-allow", "::1/128", "-cache", "256MiB"}
	shared := startExample(t, "corsproxy", plain...)
	var cells sync.WaitGroup
	for _, row := range habits() {
		there := faultorigin.Sloppy(t, os.DirFS(media(t)), row)
		p := shared
		if row.Flags != nil {
			p = startExample(t, "corsproxy", append(slices.Clone(plain), strings.Split(strings.ReplaceAll(strings.Join(row.Flags, " "), "ORIGIN", there), " ")...)...)
		}
		for _, pl := range players {
			if !full && !playsInCI(row, pl) {
				continue
			}
			cells.Go(func() {
				pl.lane <- struct{}{}
				defer func() { <-pl.lane }()
				t.Run(row.Group+"/"+row.Name+"/"+pl.name, func(t *testing.T) {
					requirePlayer(t, pl)
					c := cell{shape: shapes[0], seek: pl.lane != processes, link: func(playlist string) string { return there + "/" + called(row, playlist) }} // browsers play in real time
					direct := playsCell(t, pl, c, 25*time.Second)                                                                                              // a player that hangs does not play
					c.link = func(playlist string) string { return p.proxied(there + "/" + called(row, playlist)) }
					through := playsCell(t, pl, c, patience(limit{}))
					table.set(row, pl, direct, through)
					if direct == nil {
						require.NoError(t, through, "it plays directly")
					}
				})
			})
		}
	}
	cells.Wait()
	if *update {
		table.write(t)
	}
}

// habits are the habits that a player can meet. No player sends HEAD.
func habits() []faultorigin.Habit {
	return slices.DeleteFunc(slices.Clone(faultorigin.Habits), func(h faultorigin.Habit) bool { return h.Group == "HEAD" })
}

// called is the name of the playlist in a row.
func called(row faultorigin.Habit, playlist string) string {
	if row.As != "" {
		return row.As
	}
	return playlist
}

var allPlayers = players

// playsInCI reports whether a player plays a row without HLSPROXY_MATRIX. Chromium's own HLS plays the rows on types of
// segments, since a browser withholds from it what another site labels as a document. hls.js takes zeros for a segment, and
// chance decides how long it repeats the request.
func playsInCI(row faultorigin.Habit, pl player) bool {
	return pl.name == "ffmpeg" || pl.name == "hls.js" && row.Name != "zeros at the end" || pl.name == "Chromium" && row.Group == "types" && !strings.HasPrefix(row.Name, "a playlist")
}

// parities are the marks of the table, by row and player.
type parities struct {
	mu    sync.Mutex
	marks map[[2]string]string
}

func (p *parities) set(row faultorigin.Habit, pl player, direct, through error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark := "plays"
	switch {
	case direct != nil && through == nil:
		mark = "only through"
	case direct != nil:
		mark = "neither"
	case through != nil:
		mark = "FAILS"
	}
	p.marks[[2]string{row.Group + "/" + row.Name, pl.name}] = mark
}

func (p *parities) write(t *testing.T) {
	t.Helper()
	page, err := pages.ReadFile("testdata/origins.md")
	require.NoError(t, err)
	var b strings.Builder
	rows := habits()
	var players []player // players that have played
	for _, pl := range allPlayers {
		if p.marks[[2]string{rows[0].Group + "/" + rows[0].Name, pl.name}] != "" {
			players = append(players, pl)
		}
	}
	for i, row := range rows {
		if i == 0 || row.Group != rows[i-1].Group {
			fmt.Fprintf(&b, "\n## %s%s\n\n| |", strings.ToUpper(row.Group[:1]), row.Group[1:])
			for _, pl := range players {
				fmt.Fprintf(&b, " %s |", pl.name)
			}
			b.WriteString("\n|---|" + strings.Repeat("---|", len(players)) + "\n")
		}
		name := row.Name
		if row.Flags != nil {
			name += " (`" + strings.ReplaceAll(strings.Join(row.Flags, " "), "ORIGIN", "http://HOST:PORT") + "`)"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, pl := range players {
			mark := p.marks[[2]string{row.Group + "/" + row.Name, pl.name}]
			if mark == "" {
				mark = "not run"
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	doc := strings.ReplaceAll(string(page), "@versions@", versions(t, players))
	require.NoError(t, os.WriteFile("../docs/origins.md", []byte(strings.ReplaceAll(doc, "@tables@", strings.TrimSpace(b.String()))), 0o644))
}

// All names of rows differ, and there are enough rows.
func TestSloppyRows(t *testing.T) {
	var names []string
	for _, row := range faultorigin.Habits {
		names = append(names, row.Group+"/"+row.Name)
	}
	require.GreaterOrEqual(t, len(names), 40)
	slices.Sort(names)
	require.Len(t, slices.Compact(names), len(faultorigin.Habits))
}
