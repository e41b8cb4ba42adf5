package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// attribute is an attribute of a stream, its value without quotes and with variables substituted.
type attribute struct{ name, value string }

// attributes are the attributes of a stream that are used here. If a name occurs several times, the last one counts.
type attributes []attribute

func (a attributes) lookup(name string) (value string, ok bool) {
	for i := range a {
		if a[i].name == name {
			return a[i].value, true
		}
	}
	return "", false
}

func (a attributes) get(name string) string {
	value, _ := a.lookup(name)
	return value
}

func (a attributes) set(name, value string) attributes {
	for i := range a {
		if a[i].name == name {
			a[i].value = value
			return a
		}
	}
	return append(a, attribute{name, value})
}

// isLookedAt reports whether an attribute is used here. A list may have any number of others.
func isLookedAt(name string) bool {
	switch name {
	case "BANDWIDTH", "AVERAGE-BANDWIDTH", "SCORE", "CODECS", "SUPPLEMENTAL-CODECS", "RESOLUTION", "FRAME-RATE", "HDCP-LEVEL", "ALLOWED-CPC",
		"VIDEO-RANGE", "REQ-VIDEO-LAYOUT", "STABLE-VARIANT-ID", "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS", "PATHWAY-ID", "URI", "NAME",
		"PROGRAM-ID", "TYPE", "GROUP-ID", "LANGUAGE", "ASSOC-LANGUAGE", "STABLE-RENDITION-ID", "DEFAULT", "AUTOSELECT", "FORCED",
		"INSTREAM-ID", "BIT-DEPTH", "SAMPLE-RATE", "CHARACTERISTICS", "CHANNELS":
		return true
	}
	return false
}

// typedVariant is the variant that hls-m3u8 would make of these attributes and a URI. To let hls-m3u8 parse each line takes
// ten times as long.
func typedVariant(attrs attributes, uri string) *m3u8.Variant {
	v := &m3u8.Variant{URI: uri}
	for i := range attrs {
		switch value := attrs[i].value; attrs[i].name {
		case "BANDWIDTH":
			v.Bandwidth = uint32(integer(value))
		case "AVERAGE-BANDWIDTH":
			v.AverageBandwidth = uint32(integer(value))
		case "SCORE":
			v.Score = decimal(value)
		case "CODECS":
			v.Codecs = value
		case "SUPPLEMENTAL-CODECS":
			v.SupplementalCodecs = value
		case "RESOLUTION":
			v.Resolution = value
		case "FRAME-RATE":
			v.FrameRate = decimal(value)
		case "HDCP-LEVEL":
			v.HDCPLevel = value
		case "ALLOWED-CPC":
			v.AllowedCPC = value
		case "VIDEO-RANGE":
			v.VideoRange = value
		case "REQ-VIDEO-LAYOUT":
			v.ReqVideoLayout = value
		case "STABLE-VARIANT-ID":
			v.StableVariantId = value
		case "AUDIO":
			v.Audio = value
		case "VIDEO":
			v.Video = value
		case "SUBTITLES":
			v.Subtitles = value
		case "CLOSED-CAPTIONS":
			v.Captions = value
		case "PATHWAY-ID":
			v.PathwayId = value
		case "NAME":
			v.Name = value
		case "PROGRAM-ID":
			n := integer(value)
			v.ProgramId = &n
		}
	}
	return v
}

// integer reads a number like hls-m3u8: 0 if it is malformed, the nearest value if it is too large.
func integer(text string) int {
	if text == "" {
		return 0
	}
	n, _ := strconv.Atoi(text)
	return n
}

// decimal is integer for fractions.
func decimal(text string) float64 {
	if text == "" {
		return 0
	}
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// typedRendition is the rendition that hls-m3u8 would make of an EXT-X-MEDIA that a variant refers to. nil: it would make none.
func typedRendition(attrs attributes) *m3u8.Alternative {
	a := &m3u8.Alternative{}
	valid := true
	for i := range attrs {
		value := strings.Trim(attrs[i].value, ` "`)
		switch attrs[i].name {
		case "TYPE":
			a.Type = value
		case "URI":
			a.URI = value
		case "GROUP-ID":
			a.GroupId, valid = value, valid && value == attrs[i].value
		case "LANGUAGE":
			a.Language = value
		case "ASSOC-LANGUAGE":
			a.AssocLanguage = value
		case "NAME":
			a.Name = value
		case "STABLE-RENDITION-ID":
			a.StableRenditionId = value
		case "DEFAULT":
			a.Default = isYes(value)
		case "AUTOSELECT":
			a.Autoselect = isYes(value)
		case "FORCED":
			a.Forced = isYes(value)
		case "INSTREAM-ID":
			a.InstreamId = value
		case "CHARACTERISTICS":
			a.Characteristics = value
		case "BIT-DEPTH":
			n, err := strconv.Atoi(value)
			a.BitDepth, valid = byte(n), valid && err == nil
		case "SAMPLE-RATE":
			n, err := strconv.Atoi(value)
			a.SampleRate, valid = uint32(n), valid && err == nil
		case "CHANNELS":
			valid = setChannels(a, value) && valid
		}
	}
	if !valid || a.GroupId == "" || !slices.Contains(groupAttrs, a.Type) {
		return nil
	}
	return a
}

func isYes(value string) bool { return strings.ToUpper(value) == "YES" }

// setChannels reads CHANNELS, and reports whether hls-m3u8 takes it.
func setChannels(a *m3u8.Alternative, value string) (valid bool) {
	amount, kinds, _ := strings.Cut(value, "/")
	n, err := strconv.Atoi(amount)
	valid = err == nil
	spatial, usage, has := strings.Cut(kinds, "/")
	a.Channels = &m3u8.Channels{Amount: n, SpatialAudioIdentifiers: spatial}
	if has && !strings.Contains(usage, "/") {
		a.Channels.ChannelUsageIndicators = usage
		valid = valid && spatial != ""
	}
	return valid
}
