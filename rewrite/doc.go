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
// A [Mapper] says which public URL stands for an upstream URL, and back: [Prefix] exchanges one tree for another,
// [Query] carries the upstream URL in a query parameter, [HostPath] spells it as a path. A [Rewriter] applies it to
// every place of a playlist where a URI can stand, to the JSON documents that playlists lead to, and, through its
// hooks, signs URLs, leaves some of them alone and drops variants. It works on bytes in one pass, so what it does not
// understand stays as it was: comments, unknown tags, spellings of numbers, line ends.
//
// A Rewriter fits three places: [Rewriter.ModifyResponse] is a hook of httputil.ReverseProxy's shape,
// [Rewriter.Handler] wraps a handler that serves playlists of its own, [Rewriter.Append] is the function below both.
// [Refs] lists the URIs of a playlist for those who only want to read them.
//
// The rules are those of RFC 8216 as revised by draft-pantos-hls-rfc8216bis-22 (below: the HLS draft), and RFC 3986.
package rewrite
