package sign_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
)

func Example() {
	signer, err := sign.New(sign.Config{
		Keys: []sign.Key{{ID: "2026-11", Secret: []byte("sixteen random bytes, or more")}},
		TTL:  time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Sign each URI of a playlist as it is written. A Rewriter does this for every tag.
	playlists := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri, err := signer.Sign(r.Context(), []byte("/live/seg1.ts?x=1,2"))
		if err != nil {
			fmt.Println(err)
		}
		fmt.Fprintf(w, "%s %s", r.URL, uri)
	})
	handler := signer.Handler(playlists)
	get := func(url string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
		return w
	}

	link, err := signer.URL("/live/master.m3u8") // for your page
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(get("/live/master.m3u8").Code, get(strings.Replace(link, "master", "other", 1)).Code)
	playlist := get(link)
	text, token, _ := strings.Cut(playlist.Body.String(), "hpt=")
	fmt.Println(playlist.Code, text)
	fmt.Println(get("/live/seg1.ts?x=1,2&hpt=" + token).Code)
	// Output:
	// 401 403
	// 200 /live/master.m3u8 /live/seg1.ts?x=1,2&
	// 200
}

// One token opens a directory. Use this with mappers that keep the upstream path in the public path.
func ExampleSigner_Sign_directory() {
	signer, err := sign.New(sign.Config{Keys: []sign.Key{{Secret: []byte("sixteen random bytes, or more")}}, Scope: sign.Directory})
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, err := signer.URL("/live/a/master.m3u8")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, token, _ := strings.Cut(entry, "?")
	signer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, uri := range []string{"/live/a/720p/index.m3u8", "/live/a/1080p/index.m3u8", "/live/b/index.m3u8"} {
			signed, err := signer.Sign(r.Context(), []byte(uri))
			fmt.Println(strings.Replace(string(signed), token, "TOKEN", 1) == uri+"?TOKEN", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", entry, nil))
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
}

// Sealed URLs show nothing of the origin. A playlist rewriter and a proxy call these two methods.
func ExampleSealer() {
	sealer, err := sign.NewSealer(sign.Config{
		Keys: []sign.Key{{ID: "1", Secret: []byte("sixteen random bytes, or more")}}, Scope: sign.Directory,
	}, "/s/")
	if err != nil {
		fmt.Println(err)
		return
	}
	public, err := sealer.AppendPublic(nil, []byte("https://10.0.0.7:8080/secret/channel/seg1.ts"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, token, _ := strings.Cut(string(public), "/s/")
	token, name, _ := strings.Cut(token, "/")
	fmt.Println(len(token), name)

	upstream, err := sealer.Upstream(httptest.NewRequest("GET", "/s/"+token+"/seg2.ts", nil).URL)
	fmt.Println(upstream, err)
	_, err = sealer.Upstream(httptest.NewRequest("GET", "/s/"+token[1:]+"/seg1.ts", nil).URL)
	fmt.Println(err)
	// Output:
	// 91 seg1.ts
	// https://10.0.0.7:8080/secret/channel/seg2.ts <nil>
	// sign: token is not valid here
}
