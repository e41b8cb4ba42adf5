package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says what is collected. Nil fields are left out.
type Config struct {
	// Cache is a *cache.Transport, or a CacheStats for the one inside a cluster.Node.
	Cache interface{ Stats() cache.Stats }
	// Pool is an *origin.Pool.
	Pool interface{ State() []origin.OriginState }
	// Audience counts viewers.
	Audience *audience.Audience
	// Node returns the counters of a cluster.Node.
	Node func() NodeStats
	// Streams is how many streams have series of their own: those with the most viewers. All others share the label "other".
	// Zero: 20. Negative: no limit.
	Streams int
	// Origins is how many origins of Pool have series of their own: the first ones. Zero: 100. Negative: no limit.
	Origins int
}

// CacheStats turns a function into a Config.Cache.
type CacheStats func() cache.Stats

// Stats calls f.
func (f CacheStats) Stats() cache.Stats { return f() }

// NodeStats are the counters of cluster.Stats that are exported, with the same names.
type NodeStats struct {
	// All count from the start of the node.
	FromNodes, FromNodeBytes, ToNodes, Takeovers, Alone, Hedged, Unheard, Resumed, Refused uint64
}

// Collector is a prometheus.Collector. It may be used concurrently.
type Collector struct {
	config Config
	wait   *prometheus.HistogramVec // by result
	first  *prometheus.HistogramVec // by kind and by the result of the cache
	served *prometheus.CounterVec
	sent   *prometheus.CounterVec
}

const (
	defaultStreams = 20
	defaultOrigins = 100
)

// Native buckets of 10 % and, for servers that do not scrape those, classic ones from a millisecond to a minute.
func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}

// New returns a collector to register. For the histograms, also set its methods OnFill and OnServed as hooks of the cache and
// of the audience.
func New(c Config) *Collector {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"kind", "status"})
	}
	return &Collector{
		config: c,
		wait:   histogram("hlsproxy_origin_wait_seconds", "Time until the header of an answer of the origin, by whether it came whole.", "result"),
		first:  histogram("hlsproxy_first_byte_seconds", "Time until the first byte of a body went to a viewer, by kind and by what the cache did.", "kind", "cache"),
		served: counter("hlsproxy_viewer_requests_total", "Requests of viewers that were answered, by kind and class of status."),
		sent:   counter("hlsproxy_viewer_bytes_total", "Bytes of bodies sent to viewers, by kind and class of status."),
	}
}

// OnFill is for cache.Transport.OnFill.
func (c *Collector) OnFill(f cache.Fill) {
	result := "whole"
	if f.Err != nil {
		result = "failed"
	}
	c.wait.WithLabelValues(result).Observe(f.Wait.Seconds())
}

// OnServed is for audience.Audience.OnServed.
func (c *Collector) OnServed(s audience.Served) {
	c.first.WithLabelValues(s.Kind, cmp.Or(s.Cache, "none")).Observe(s.First.Seconds())
	class := classOf(s)
	c.served.WithLabelValues(s.Kind, class).Inc()
	c.sent.WithLabelValues(s.Kind, class).Add(float64(s.Bytes))
}

// classOf is the class of a status, such as "2xx", or "broken".
func classOf(s audience.Served) string {
	if s.Broken || s.Status < 100 || s.Status > 599 {
		return "broken"
	}
	return string(rune('0'+s.Status/100)) + "xx"
}

// value is a metric whose value is read at each scrape.
type value struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	number float64
	labels []string
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hlsproxy_"+name, help, labels, nil)
}

var (
	cacheRequests  = desc("cache_requests_total", "Requests by what the cache did: hit, stale, miss, join or pass.", "result")
	cacheBytes     = desc("cache_bytes_total", "Bytes of bodies by where they came from: store and fill went to viewers, origin came in.", "from")
	cacheConfirmed = desc("cache_revalidations_total", "Answers that the origin confirmed.")
	cacheStored    = desc("cache_stored_total", "Entries put into the store.")
	cacheEvicted   = desc("cache_evictions_total", "Entries dropped to make room.")
	cacheFailed    = desc("cache_errors_total", "Fills that failed, and failures of hooks and of the store.")
	cacheLeft      = desc("cache_abandoned_total", "Fills stopped since everybody had left.")
	cacheAhead     = desc("cache_prefetched_total", "Segments fetched before a viewer asked for them.")
	cacheUsed      = desc("cache_prefetched_used_total", "Segments fetched before a viewer asked for them that one has asked for since.")
	cacheFills     = desc("cache_fills", "Answers that are being fetched now.")

	originUp       = desc("origin_up", "Whether an origin is asked: 1, or 0 while it is out or drained.", "origin")
	originRequests = desc("origin_requests_total", "Requests sent to an origin, retries included.", "origin")
	originErrors   = desc("origin_errors_total", "Requests to an origin that failed.", "origin")
	originInFlight = desc("origin_in_flight", "Requests to an origin whose body is not read or closed yet.", "origin")
	originLatency  = desc("origin_latency_seconds", "Smoothed time until the header of an origin's answer came.", "origin")

	viewers       = desc("audience_viewers", "Sessions now, by stream.", "stream")
	streams       = desc("audience_streams", "Streams that are being watched.")
	streamBytes   = desc("audience_stream_bytes", "Bytes sent to a stream's sessions since it has been watched.", "stream")
	stalled       = desc("audience_stalls", "How often players of the sessions of now ran dry, as CMCD tells.", "stream")
	audienceOut   = desc("audience_refused_total", "Requests refused for a limit or a session that was ended.")
	audienceBlind = desc("audience_lost_total", "Requests of viewers that there was no room to count.")

	nodeQuestions = desc("node_questions_total", "Questions by who answered: nodes answered this one, this one answered nodes, or it went alone.", "way")
	nodeHedged    = desc("node_hedged_total", "Questions that went another way, too, since the origin was silent.")
	nodeUnheard   = desc("node_unheard_total", "Questions that the engine did not answer.")
	nodeBytes     = desc("node_bytes_total", "Bytes of bodies that other nodes gave to this one.")
	nodeTakeovers = desc("node_takeovers_total", "Keys taken from a node that failed.")
	nodeResumed   = desc("node_resumed_total", "Bodies that went on from another node.")
	nodeRefused   = desc("node_refused_total", "Requests of nodes without a valid proof.")
)

// Describe is that of prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, h := range []prometheus.Collector{c.wait, c.first, c.served, c.sent} {
		h.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{
		cacheRequests, cacheBytes, cacheConfirmed, cacheStored, cacheEvicted, cacheFailed, cacheLeft, cacheAhead, cacheUsed, cacheFills,
		originUp, originRequests, originErrors, originInFlight, originLatency,
		viewers, streams, streamBytes, stalled, audienceOut, audienceBlind,
		nodeQuestions, nodeHedged, nodeUnheard, nodeBytes, nodeTakeovers, nodeResumed, nodeRefused,
	} {
		ch <- d
	}
}

// Collect is that of prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, h := range []prometheus.Collector{c.wait, c.first, c.served, c.sent} {
		h.Collect(ch)
	}
	var all []value
	if c.config.Cache != nil {
		all = append(all, cacheValues(c.config.Cache.Stats())...)
	}
	if c.config.Pool != nil {
		all = append(all, c.originValues(c.config.Pool.State())...)
	}
	if c.config.Audience != nil {
		all = append(all, c.audienceValues(c.config.Audience.Snapshot())...)
	}
	if c.config.Node != nil {
		all = append(all, nodeValues(c.config.Node())...)
	}
	for _, v := range all {
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, v.number, v.labels...)
	}
}

func count(d *prometheus.Desc, n uint64, labels ...string) value {
	return value{d, prometheus.CounterValue, float64(n), labels}
}

func gauge(d *prometheus.Desc, n float64, labels ...string) value {
	return value{d, prometheus.GaugeValue, n, labels}
}

func cacheValues(s cache.Stats) []value {
	return []value{
		count(cacheRequests, s.Hits, "hit"), count(cacheRequests, s.Stale, "stale"), count(cacheRequests, s.Misses, "miss"),
		count(cacheRequests, s.Joins, "join"), count(cacheRequests, s.Passed, "pass"),
		count(cacheBytes, s.StoreBytes, "store"), count(cacheBytes, s.FillBytes, "fill"), count(cacheBytes, s.OriginBytes, "origin"),
		count(cacheConfirmed, s.Revalidations), count(cacheStored, s.Stored), count(cacheEvicted, s.Evictions),
		count(cacheFailed, s.Errors), count(cacheLeft, s.Abandoned), count(cacheAhead, s.Prefetched),
		count(cacheUsed, s.PrefetchedUsed), gauge(cacheFills, float64(s.Fills)),
	}
}

func (c *Collector) originValues(all []origin.OriginState) []value {
	if most := cmp.Or(c.config.Origins, defaultOrigins); most > 0 && len(all) > most {
		all = all[:most]
	}
	var out []value
	seen := map[string]int{}
	for _, o := range all {
		up := 0.0
		if o.Healthy && !o.Drained {
			up = 1
		}
		name := audience.RedactURL(o.Origin)
		if seen[name]++; seen[name] > 1 { // two that differ in what is left out: two series of one name would fail the scrape
			name += fmt.Sprintf(" (%d)", seen[name])
		}
		out = append(out, gauge(originUp, up, name), count(originRequests, o.Requests, name), count(originErrors, o.Errors, name),
			gauge(originInFlight, float64(o.InFlight), name), gauge(originLatency, o.Latency.Seconds(), name))
	}
	return out
}

// other is the label of all streams beyond Config.Streams.
const other = "other"

func (c *Collector) audienceValues(s audience.Snapshot) []value {
	slices.SortStableFunc(s.Streams, func(a, b audience.Stream) int { return cmp.Compare(b.Viewers, a.Viewers) })
	most := cmp.Or(c.config.Streams, defaultStreams)
	label := make(map[string]string, len(s.Streams))
	var named []string
	n, bytes, stalls := map[string]int{}, map[string]uint64{}, map[string]int{}
	for i, st := range s.Streams {
		name := st.Name
		if name == other || most >= 0 && i >= most {
			name = other
		}
		if _, known := n[name]; !known {
			named = append(named, name)
		}
		label[st.Name] = name
		n[name] += st.Viewers
		bytes[name] += st.Bytes
	}
	for _, one := range s.Sessions {
		stalls[label[one.Stream]] += one.Stalls
	}
	out := []value{gauge(streams, float64(len(s.Streams))), count(audienceOut, s.Refused), count(audienceBlind, s.Lost)}
	for _, name := range named {
		out = append(out, gauge(viewers, float64(n[name]), name), gauge(streamBytes, float64(bytes[name]), name), gauge(stalled, float64(stalls[name]), name))
	}
	return out
}

func nodeValues(s NodeStats) []value {
	return []value{
		count(nodeQuestions, s.FromNodes, "from_nodes"), count(nodeQuestions, s.ToNodes, "to_nodes"), count(nodeQuestions, s.Alone, "alone"),
		count(nodeHedged, s.Hedged), count(nodeUnheard, s.Unheard), count(nodeBytes, s.FromNodeBytes),
		count(nodeTakeovers, s.Takeovers), count(nodeResumed, s.Resumed), count(nodeRefused, s.Refused),
	}
}
