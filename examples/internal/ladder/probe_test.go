package ladder

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSources(t *testing.T) {
	const sound, cover = `{"codec_type":"audio"}`, `{"codec_type":"video","width":600,"height":600,"disposition":{"attached_pic":1}}`
	video := func(w, h int, more string) string {
		return fmt.Sprintf(`{"codec_type":"video","width":%d,"height":%d%s}`, w, h, more)
	}
	for name, row := range map[string]struct {
		streams []string
		want    string
	}{
		"plain":            {[]string{video(640, 360, `,"sample_aspect_ratio":"1:1"`)}, "640x360 0 -1"},
		"unknown pixels":   {[]string{video(640, 360, `,"sample_aspect_ratio":"0:1"`)}, "640x360 0 -1"},
		"wide pixels":      {[]string{video(720, 576, `,"sample_aspect_ratio":"16:15"`)}, "768x576 0 -1"},
		"hostile pixels":   {[]string{video(640, 360, `,"sample_aspect_ratio":"1000000:1"`)}, "640x360 0 -1"},
		"turned":           {[]string{video(640, 360, `,"side_data_list":[{"side_data_type":"?"},{"rotation":-90}]`)}, "360x640 0 -1"},
		"upside down":      {[]string{video(640, 360, `,"side_data_list":[{"rotation":180}]`)}, "640x360 0 -1"},
		"too large":        {[]string{video(100_000, 100_000, "")}, errHuge.Text},
		"nothing":          {nil, errNothing.Text},
		"neither":          {[]string{`{"codec_type":"data"}`, video(0, 0, "")}, errNothing.Text},
		"sound":            {[]string{sound}, "0x0 -1 0"},
		"sound and cover":  {[]string{cover, sound}, "0x0 -1 1"},
		"cover and film":   {[]string{cover, sound, video(640, 360, "")}, "640x360 2 1"},
		"several of each":  {[]string{video(640, 360, ""), video(2, 2, ""), sound, sound}, "640x360 0 2"},
		"data between all": {[]string{`{"codec_type":"data"}`, video(640, 360, ""), `{"codec_type":"subtitle"}`, sound}, "640x360 1 3"},
	} {
		var film probed
		for i, text := range row.streams {
			s := stream{Index: i}
			require.NoError(t, json.Unmarshal([]byte(text), &s), name)
			film.Streams = append(film.Streams, s)
		}
		found, err := film.source()
		got := fmt.Sprintf("%dx%d %d %d", found.width, found.height, found.video, found.audio)
		if err != nil {
			got = err.Error()
		}
		require.Equal(t, row.want, got, name)
	}
}

// The claims of a film are compared with its size.
func TestClaims(t *testing.T) {
	many := `{"codec_type":"data"},`
	for name, row := range map[string]struct {
		said string
		want error
	}{
		"plain":            {`{"streams":[{"codec_type":"video","nb_frames":"250"}],"format":{"duration":"10"}}`, nil},
		"nobody knows":     {`{"streams":[{"codec_type":"video"}],"format":{}}`, nil},
		"plain sound":      {`{"streams":[{"codec_type":"audio","nb_frames":"900000000"}],"format":{"duration":"18750"}}`, nil},
		"more than bytes":  {`{"streams":[{"codec_type":"audio","nb_frames":"1000000001"}],"format":{}}`, errSamples},
		"a flood":          {`{"streams":[{"codec_type":"video","nb_frames":"6000001"}],"format":{}}`, errSamples},
		"longer than days": {`{"streams":[],"format":{"duration":"60000"}}`, errEndless},
		"many streams":     {`{"streams":[` + strings.Repeat(many, mostStreams) + `{"codec_type":"data"}],"format":{}}`, errTalkative},
	} {
		var film probed
		require.NoError(t, json.Unmarshal([]byte(row.said), &film), name)
		require.Equal(t, row.want, film.check(1e9), name)
	}
}

func TestConversionsHaveAnEnd(t *testing.T) {
	for length, want := range map[time.Duration][2]time.Duration{
		0:                {hardEnd, longest},
		10 * time.Second: {5*time.Minute + 200*time.Second, 80 * time.Second},
		10 * time.Hour:   {hardEnd, longest},
	} {
		film := source{duration: length}
		require.Equal(t, want, [2]time.Duration{film.patience(), film.most()})
	}
}
