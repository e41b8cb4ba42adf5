// Package rewrite changes the URIs of HLS playlists and no other byte of them.
//
//	tree, err := rewrite.Prefix("/live/", "https://origin.example/hls/")
//	if err != nil {
//		return err
//	}
//	playlists := &rewrite.Rewriter{Map: tree}
//	proxy := &httputil.ReverseProxy{
//		Rewrite:        toUpstream, // by tree.Upstream; origin.Proxy does it for you
//		ModifyResponse: playlists.ModifyResponse,
//	}
//
// A [Mapper] says which public URL stands for an upstream URL, and back: [Prefix] exchanges one tree for another, [Query]
// carries the upstream URL in a query parameter, [HostPath] spells it as a path. A [Rewriter] applies it to every URI in a
// playlist and in the JSON documents that playlists lead to. Through its hooks it also signs URLs, leaves some of them alone
// and drops variants. It works on bytes in one pass, so it keeps everything that it does not understand: comments, unknown
// tags, spellings of numbers, line ends.
//
// A Rewriter fits three places: [Rewriter.ModifyResponse] is a hook with the signature of httputil.ReverseProxy's,
// [Rewriter.Handler] wraps a handler that serves playlists of its own, and [Rewriter.Append] is the function below both. [Refs]
// lists the URIs of a playlist if you only want to read them.
//
// The rules are those of RFC 8216 as revised by draft-pantos-hls-rfc8216bis-22 (below: the HLS draft), and RFC 3986.
package rewrite
