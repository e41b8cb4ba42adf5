// Package sign makes links that expire: HMAC tokens in the query of public URLs, verified before anything else is done.
//
//	signer, err := sign.New(sign.Config{
//		Keys:  []sign.Key{{ID: "2026", Secret: secret}}, // 16 bytes or more
//		TTL:   6 * time.Hour,
//		Scope: sign.Directory, // a token opens what lies beside and below the playlist
//	})
//	if err != nil {
//		return err
//	}
//	mux.Handle("/live/", cors.Handler(signer.Handler(chain)))
//	link, err := signer.URL("/live/index.m3u8")
//
// A [Signer] has two ends. [Signer.URL] makes the entry link that a page hands out. [Signer.Handler] admits requests with a
// valid token, removes the token, and puts the grant into the context. [Signer.Sign], for the Sign field of a playlist
// rewriter, gives each URI in a playlist a token of its own, with the expiry and the claims of the request for the playlist,
// and never more.
//
// # What a token covers
//
// With the scope [Exact] a token covers the path and the whole query as they are in the URL, byte for byte, except the token
// itself and parameters that a player adds: those whose names begin with _HLS_ (draft-pantos-hls-rfc8216bis-22 section 6.2.5)
// and CMCD (CTA-5004). With the scope [Directory] it covers every path below the directory of the URL, whatever the query. So
// use Directory for mappers that put the upstream path into the public path, and never for one with the upstream URL in a
// parameter: there it would let the viewer name any URL. The host is not covered: sites that must not open each other's links
// need keys of their own, or Claims that contain the host.
//
// Nothing that a viewer or a playlist writes widens a token. If a playlist names a URL outside of the directory of its own
// token, that URL gets a token for itself alone. So does a URL that carries variables of a multivariant playlist in its query:
// a token of a directory does not open it, because under that token the viewer could change the variables.
//
// Characters that clients spell in two ways in a request (a space or a quote that is not escaped) count as their escaped
// form. Nothing else is normalised: a client that re-orders or re-encodes a query is refused under Exact.
//
// # The format
//
// A token is unpadded base64url (RFC 4648, section 5) of a header and the first 16 bytes of HMAC-SHA-256 (RFC 2104) under
// the secret of the key that the header names. The header is
//
//	1 byte   0x10, plus 1 for a directory, 2 with a not-before, 4 with an end of renewal, 8 with a session
//	1 byte   for a directory only: how many segments its path has, 0 for /
//	5 bytes  expiry, in seconds since 1970, big-endian; then not-before and end of renewal in the same form, if any
//	n bytes  session, if any, after one byte with its length
//	n bytes  key id, after one byte with its length
//
// and the HMAC is over the header, the letter R, and then, each after its length as an unsigned varint of encoding/binary:
// the claims; the path, for a directory its own with the final slash; and the parameters that count, each with an & in
// front, for a directory none.
//
// # Hiding the origin
//
// A [Sealer] makes public URLs that are encrypted, so that they show at most a file name. It is a mapper of URLs, while a
// Signer is a hook beside one: they work alone or together. [Sealer.URL] also seals what else the origin demands, for
// everything that the URL leads to: see [Upstream].
//
// # Other verifiers
//
// Package [github.com/hlsproxy/hlsproxy/sign/cdn] signs for content delivery networks, other servers and stores, which serve
// segments and check their links themselves. With an [Ask], a backend or a function decides about tokens of its own.
package sign
