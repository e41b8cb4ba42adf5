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
// A [Signer] has two ends. [Signer.URL] makes the entry link that a page hands out; [Signer.Handler] admits requests that
// carry a valid token, takes the token off, and remembers in the context what was granted. [Signer.Sign], for the Sign field of
// a playlist rewriter, gives each URI in a playlist a token of its own, with the expiry and the claims of the request that
// fetched the playlist and never more.
//
// # What a token covers
//
// With the scope [Exact], the path and the whole query as they stand in the URL, byte for byte, except the token itself
// and what a player adds: parameters whose names begin with _HLS_ (draft-pantos-hls-rfc8216bis-22, section 6.2.5) and
// CMCD (CTA-5004). With the scope [Directory], every path below the directory of the URL, whatever the query; so it is for
// mappers that put the upstream path into the public path, and never for one that takes the upstream URL as a parameter,
// where it would let the viewer name any. The host is not covered: sites that must not open each other's links need keys of
// their own, or Claims that hold the host.
//
// Nothing that a viewer or a playlist writes widens a token. A playlist is fetched by a token. What it names outside of the
// directory of that token gets a token for that one URL. So does a URL that carries variables of a multivariant playlist in its
// query: a token of a directory does not open it, since under that the viewer could write others.
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
// A [Sealer] makes public URLs that are encrypted, so that they show a file name and no more. It is a mapper of URLs, while
// a Signer is a hook beside one: the two work alone or together. [Sealer.URL] seals along with a URL what
// else the origin wants to see, for all that the URL leads to: see [Upstream].
//
// # Others that check
//
// Package [github.com/hlsproxy/hlsproxy/sign/cdn] signs for content delivery networks, other servers and stores, which hand
// segments out and check their links themselves. With an [Ask], a backend or a function decides about tokens of its own making.
package sign
