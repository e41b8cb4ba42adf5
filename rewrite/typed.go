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

// typedVariant is the variant that hls-m3u8 would make of these attributes and a URI, if there is one. To let hls-m3u8 parse
// each line takes ten times as long.
func typedVariant(attrs attributes, uri string) *m3u8.Variant {
	if uri == "" {
		uri = attrs.get("URI")
	}
	v := &m3u8.Variant{URI: uri, VariantParams: m3u8.VariantParams{
		Bandwidth:          uint32(integer(attrs.get("BANDWIDTH"))),
		AverageBandwidth:   uint32(integer(attrs.get("AVERAGE-BANDWIDTH"))),
		Score:              decimal(attrs.get("SCORE")),
		Codecs:             attrs.get("CODECS"),
		SupplementalCodecs: attrs.get("SUPPLEMENTAL-CODECS"),
		Resolution:         attrs.get("RESOLUTION"),
		FrameRate:          decimal(attrs.get("FRAME-RATE")),
		HDCPLevel:          attrs.get("HDCP-LEVEL"),
		AllowedCPC:         attrs.get("ALLOWED-CPC"),
		VideoRange:         attrs.get("VIDEO-RANGE"),
		ReqVideoLayout:     attrs.get("REQ-VIDEO-LAYOUT"),
		StableVariantId:    attrs.get("STABLE-VARIANT-ID"),
		Audio:              attrs.get("AUDIO"),
		Video:              attrs.get("VIDEO"),
		Subtitles:          attrs.get("SUBTITLES"),
		Captions:           attrs.get("CLOSED-CAPTIONS"),
		PathwayId:          attrs.get("PATHWAY-ID"),
		Name:               attrs.get("NAME"),
	}}
	if id, ok := attrs.lookup("PROGRAM-ID"); ok {
		n := integer(id)
		v.ProgramId = &n
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
	get := func(name string) string { return strings.Trim(attrs.get(name), ` "`) }
	isYes := func(name string) bool { return strings.ToUpper(get(name)) == "YES" }
	a := &m3u8.Alternative{
		Type:              get("TYPE"),
		URI:               get("URI"),
		GroupId:           get("GROUP-ID"),
		Language:          get("LANGUAGE"),
		AssocLanguage:     get("ASSOC-LANGUAGE"),
		Name:              get("NAME"),
		StableRenditionId: get("STABLE-RENDITION-ID"),
		Default:           isYes("DEFAULT"),
		Autoselect:        isYes("AUTOSELECT"),
		Forced:            isYes("FORCED"),
		InstreamId:        get("INSTREAM-ID"),
		Characteristics:   get("CHARACTERISTICS"),
	}
	valid := slices.Contains(groupAttrs, a.Type) && a.GroupId != "" && a.GroupId == attrs.get("GROUP-ID")
	for _, name := range []string{"BIT-DEPTH", "SAMPLE-RATE", "CHANNELS"} {
		if _, ok := attrs.lookup(name); !ok {
			continue
		}
		amount, kinds, _ := strings.Cut(get(name), "/")
		n, err := strconv.Atoi(amount)
		valid = valid && err == nil
		switch name {
		case "BIT-DEPTH":
			a.BitDepth, valid = byte(n), valid && amount == get(name)
		case "SAMPLE-RATE":
			a.SampleRate, valid = uint32(n), valid && amount == get(name)
		default:
			spatial, usage, has := strings.Cut(kinds, "/")
			a.Channels = &m3u8.Channels{Amount: n, SpatialAudioIdentifiers: spatial}
			if has && !strings.Contains(usage, "/") {
				a.Channels.ChannelUsageIndicators = usage
				valid = valid && spatial != ""
			}
		}
	}
	if !valid {
		return nil
	}
	return a
}
