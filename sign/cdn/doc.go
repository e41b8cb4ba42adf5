// Package cdn makes links that a content delivery network, another server or an object store checks itself: [CloudFront],
// [Akamai], [MediaCDN], [Bunny], [Fastly], [Nginx] and [S3]. Each constructor returns a [Signer]. Its Sign is for the Sign
// field of a playlist rewriter, if segments are fetched from the network and not through the proxy.
//
//	network, err := cdn.CloudFront(cdn.CloudFrontConfig{
//		KeyPairID: "K2JCJMDEHXQW5F",
//		Key:       key, // RSA with 2,048 bits, or ECDSA on P-256
//		TTL:       6 * time.Hour,
//	})
//	if err != nil {
//		return err
//	}
//	playlists := &rewrite.Rewriter{Map: tree, Sign: network} // tree maps to the URLs of the distribution
//
// CloudFront, Akamai, Media CDN and Bunny support prefixes: a signature opens the directory of a URL and everything below it.
// So a playlist costs one signature for each directory that it names, and the author of the playlist chooses these directories.
// With the others a signature opens one file.
//
// # What is signed
//
// A network checks what a client sends, and clients spell some bytes differently: a blank, a quote, a bar, a letter that is not
// ASCII. Sign escapes these in the URL, as a browser does, so that all clients send what was signed. It replaces parameters of
// the scheme that the URL already has. It returns ErrURL, with a reason, for URLs that the network would read differently than
// clients, such as dot segments in disguise, and for URLs that a vendor's syntax cannot express.
//
// Expiries are on a grid of a sixteenth of the TTL, at least a second, so that links made within one step are the same. They
// never exceed what package sign has granted to the viewer of the request to which the context belongs.
//
// Signers may be used by any number of goroutines.
package cdn
