// Package audience knows who is watching: how many viewers each stream has now, since when, and what they were sent. It
// limits how many may watch with one name or from one address, ends sessions, tells of each that comes and goes, and
// writes an access log.
//
//	watch := &audience.Audience{
//		Limit:    func(key string) int { return 3 }, // at a time, for each name or address
//		OnServed: audience.Log(slog.Default()),
//	}
//	mux.Handle("/live/", cors.Handler(watch.Handler(chain)))
//
//	for _, s := range watch.Snapshot().Streams {
//		fmt.Println(s.Name, s.Viewers)
//	}
//
// An [Audience] is a handler around the ones that serve streams. Its place decides what it sees:
//
//	cors -> audience -> sign -> ...   every request, also those that sign refuses. A session begins with the first answer
//	                                  below 400, so that refused requests count for nothing. What a link says about its
//	                                  viewer is not known yet.
//	cors -> sign -> audience -> ...   what sign let through, with the grant in the context of the request: give its session
//	                                  to [Audience.Session]. Refused requests are in no log.
//
// A session is one viewer of one stream. The viewer is known by what [Audience.Session] says, else by the session id that
// its player sends (sid of CMCD, CTA-5004), else by its address and User-Agent. All that CMCD says is the viewer's word.
//
// The package keeps nothing between runs and starts no goroutine but for a timer while there are sessions.
package audience
