// Package audience knows who is watching: how many viewers each stream has now, since when, and what they were sent. It limits
// how many may watch with one name or from one address, ends sessions, reports each session that begins or ends, and writes an
// access log.
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
// An [Audience] is a handler around the handlers that serve streams. Its place decides what it sees:
//
//	cors -> audience -> sign -> ...   every request, also those that sign refuses. A session begins with the first answer
//	                                  below 400, so refused requests do not count. What a link says about its viewer is
//	                                  not known yet.
//	cors -> sign -> audience -> ...   requests that sign has admitted, with the grant in their context: return its session
//	                                  from [Audience.Session]. Refused requests are not logged.
//
// A session is one viewer of one stream. The viewer is identified by the result of [Audience.Session], else by the session id
// that its player sends (sid of CMCD, CTA-5004), else by its address and User-Agent. The viewer may write anything in CMCD.
//
// The package keeps nothing between runs. It starts no goroutine, except a timer while there are sessions.
package audience
