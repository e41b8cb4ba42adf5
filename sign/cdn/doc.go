// Package cdn makes links that a content delivery network, another server or an object store hands out files by and checks
// itself: [CloudFront], [Akamai], [MediaCDN], [Bunny], [Fastly], [Nginx] and [S3]. Each constructor gives a [Signer], whose
// Sign is for the Sign field of a playlist rewriter, where segments are fetched from the network and not through the proxy.
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
// CloudFront, Akamai, Media CDN and Bunny know prefixes: what is signed opens the directory of a URL and all below, so that a
// playlist costs one signature for each directory that it names, and those directories are the author's choice. The others
// open one file each.
//
// # What is signed
//
// A network checks what a client sends, and clients spell some bytes in their own ways: a blank, a quote, a bar, a letter that
// is not ASCII. Sign escapes these in the URL, as a browser does, so that all clients send what was signed. Parameters of the
// scheme that the URL has already are replaced. ErrURL, with a reason, is for URLs that the network would read in another way
// than clients do, such as dot segments in disguise, and for what a vendor's syntax cannot say.
//
// Expiries stand on a grid of a sixteenth of the TTL, at least a second, so that a link made twice within a step is the same,
// and never go beyond what a package sign has granted to the viewer whose request the context belongs to.
//
// Signers may be used by any number of goroutines.
package cdn
