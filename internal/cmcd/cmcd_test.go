package cmcd_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/cmcd"
	"github.com/stretchr/testify/require"
)

func read(query string, header http.Header) cmcd.Data {
	var d cmcd.Data
	d.Read(&http.Request{URL: &url.URL{RawQuery: query}, Header: header})
	return d
}

func TestRead(t *testing.T) {
	const all = `bl=21300,br=3200,bs,cid="faec5fc2-ac30-11ea",d=4004,dl=18500,mtp=48100,nor="..%2F300kbps%2Ftrack.m4v",nrr="12323-48763",` +
		`ot=v,pr=1.08,rtp=12000,sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",st=l,su,tb=6000,com.example-x="a,b=c",v=2,msd=850`
	for name, d := range map[string]cmcd.Data{
		"query":  read("a=b&CMCD="+url.QueryEscape(all)+"&c=d", nil),
		"header": read("", http.Header{"Cmcd-Object": {all}}),
		"headers": read("", http.Header{
			"Cmcd-Object": {`br=3200,d=4004,ot=v,tb=6000`}, "Cmcd-Request": {`bl=21300,dl=18500,mtp=48100,nor="x",su,nrr="1-2"`},
			"Cmcd-Session": {`cid="faec5fc2-ac30-11ea",pr=1.08,sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",st=l,v=2,msd=850`}, "Cmcd-Status": {"bs,rtp=12000"},
		}),
	} {
		require.Equal(t, "6e2fb550-c457-11e9-bb97-0800200c9a66", d.Session.String(), name)
		require.EqualValues(t, 3_200_000, d.Bitrate, name)
		require.Equal(t, 850*time.Millisecond, d.StartDelay, name)
		require.True(t, d.Starved && d.Startup && d.Said, name)
	}
}

func TestReadOfWhatIsMalformed(t *testing.T) {
	for text, session := range map[string]string{
		`sid="a b"`: "a b", `sid=bare`: "bare", `sid="un`: "un", `sid="a\"b\\"`: `a"b\`, `sid=`: "", `sid`: "", `sid="a",sid="b"`: "b",
		` sid="x" , bs `: "x", `,,,sid="x",,`: "x", `=5,sid="x"`: "x", `br=(3200 128),sid="x"`: "x", `nor=("a,b" "c"),sid="x"`: "x",
		"sid=\"a\x00b\"": "a", `sid="` + strings.Repeat("y", 500) + `"`: strings.Repeat("y", 64),
		`br="` + strings.Repeat(",", 3000) + `",sid="late"`: "",
	} {
		d := read("", http.Header{"Cmcd-Session": {text}})
		require.Equal(t, session, d.Session.String(), "%.40q", text)
	}
	d := read("CMCD=br%3D(3200)%2Cbs%3D%3F0%2Csu%3Dfalse%2Cmsd%3D99999999999999999999", nil)
	require.EqualValues(t, 3_200_000, d.Bitrate)
	require.False(t, d.Starved || d.Startup)
	require.Zero(t, d.StartDelay)
	for _, query := range []string{"", "CMCD", "CMCD=", "XCMCD=sid%3Dx", "CMCDX=sid%3Dx", "a=CMCD"} {
		require.False(t, read(query, nil).Said, query)
	}
	d = read("a=1&CMCD=sid%3Db", http.Header{"Cmcd-Session": {"sid=c,bs"}})
	require.Equal(t, "b", d.Session.String(), "a player sends one form")
	require.False(t, d.Starved)
	d = read("CMCD=sid%3D%22a%2&CMCD=sid%3Db", nil)
	require.Equal(t, `a%2`, d.Session.String())
}

func TestNext(t *testing.T) {
	for text, want := range map[string][2]string{
		`nor="..%2F300kbps%2Ftrack.m4v",nrr="12323-48763"`: {"../300kbps/track.m4v", "12323-48763"},
		`bl=1,nor="a,b.ts",su`:                             {"a,b.ts"},
		`nor=bare.ts`:                                      {"bare.ts"},
		`nor="100%.ts"`:                                    {"100%.ts"},
		`nor=("a.ts";r="1-2" "b.ts")`:                      {"a.ts"},
		`nrr="-5"`:                                         {"", "-5"},
		`nor`:                                              {},
		`nor="`:                                            {},
		`minor="x",nork="y",bl=5`:                          {},
		``:                                                 {},
		strings.Repeat("x,", 1500) + `nor="late"`: {},
	} {
		r := &http.Request{URL: &url.URL{}, Header: http.Header{"Cmcd-Request": {text}}}
		object, part := cmcd.Next(r)
		require.Equal(t, want, [2]string{object, part}, "%.60s", text)
		r = &http.Request{URL: &url.URL{RawQuery: "a=b&CMCD=" + url.QueryEscape(text) + "&c=d"}}
		object, part = cmcd.Next(r)
		require.Equal(t, want, [2]string{object, part}, "%.60s in the query", text)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	r := &http.Request{URL: &url.URL{RawQuery: "CMCD=br%3D3200%2Csid%3D%226e2fb550%22"}, Header: http.Header{"Cmcd-Status": {"bs"}}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var d cmcd.Data
		d.Read(r)
	}))
}

func FuzzRead(f *testing.F) {
	f.Add("CMCD=br%3D3200%2Cbs%2Csid%3D%22x%22", `sid="a\"b",br=(1 2)`)
	f.Add("CMCD=", `nor="../a,b.ts",br=(3200 128),sid=bare,su=?0,msd="5",=x,bs=`)
	f.Fuzz(func(t *testing.T, query, line string) {
		d := read(query, http.Header{"Cmcd-Session": {line}})
		object, part := cmcd.Next(&http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Cmcd-Session": {line}}})
		require.LessOrEqual(t, len(object)+len(part), 2*cmcd.MaxLength)
		require.True(t, d.Bitrate >= 0 && d.StartDelay >= 0 && len(d.Session.Bytes()) <= 64)
		fields := read("", http.Header{"Cmcd-Session": {line}})
		require.Equal(t, fields, read("CMCD="+url.QueryEscape(line), nil))
		require.Equal(t, fields, read("CMCD="+someEscapes.Replace(line), nil))
	})
}

// someEscapes are those that a query cannot do without.
var someEscapes = strings.NewReplacer("%", "%25", "&", "%26", "+", "%2b", " ", "+")
