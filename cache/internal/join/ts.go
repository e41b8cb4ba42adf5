package join

import "slices"

// MPEG-TS (ISO/IEC 13818-1) consists of packets of 188 bytes. A decoder needs the tables of the programmes (PAT, PMT). It
// begins at a packet of a video stream that is marked as a random access point. If no stream ever marks one, it begins at any
// packet.
const (
	packet      = 188
	sync        = 0x47
	mostTables  = 64  // PMTs
	mostPackets = 32  // of one table
	unmarked    = 500 // packets without a mark, after which any packet is a point
)

type ts struct {
	pat    table
	pmts   map[int]*table // by PID
	order  []int          // PIDs of pmts
	marked bool
	since  int // packets since the tables were known

	tables [][]byte    // their latest packets; nil: to be listed
	video  map[int]int // by PID of a video stream: how often it is named
}

// table is a section of programme information, with the packets it came in.
type table struct {
	packets []byte // of the latest complete section
	next    []byte
	section []byte
	want    int
	video   []int // PIDs
}

// isTS looks for packets that follow each other. The first one may be cut.
func isTS(s *Scanner) (format, int) {
	p := s.rest
	if len(p) < packet {
		return nil, packet
	}
	for first := range packet {
		for n := 0; p[first+n*packet] == sync; {
			if n++; n == inARow {
				return &ts{pmts: map[int]*table{}, video: map[int]int{}}, 0
			}
			if first+n*packet >= len(p) {
				return nil, first + n*packet + 1
			}
		}
	}
	return nil, 0
}

func (f *ts) unit(s *Scanner, p []byte) int {
	switch {
	case p[0] != sync, len(p) > packet && p[packet] != sync:
		return -1
	case len(p) <= packet:
		return 0
	}
	p = p[:packet]
	pid, starts := int(p[1]&0x1f)<<8|int(p[2]), p[1]&0x40 != 0
	if pid == 0 {
		if section := f.pat.add(p, starts); section != nil {
			f.tables = nil
			f.readPAT(section)
		}
	} else if t := f.pmts[pid]; t != nil {
		if section := t.add(p, starts); section != nil {
			f.tables = nil
			f.readPMT(t, section)
		}
	}
	f.judge(s, p, pid, starts)
	return packet
}

// judge notes whether a decoder can begin with a packet.
func (f *ts) judge(s *Scanner, p []byte, pid int, starts bool) {
	if !f.complete() {
		return
	}
	f.since++
	random := p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x40 != 0
	switch {
	case f.video[pid] > 0 && random:
		f.marked = true
	case len(f.video) == 0 && starts && pid != 0 && f.pmts[pid] == nil && pid != 0x1fff:
	case !f.marked && f.since > unmarked:
	default:
		return
	}
	s.here(f.listTables()...)
}

func (f *ts) complete() bool {
	if f.pat.packets == nil || len(f.order) == 0 {
		return false
	}
	for _, pid := range f.order {
		if f.pmts[pid].packets == nil {
			return false
		}
	}
	return true
}

// listTables lists the packets of all tables. The list does not change.
func (f *ts) listTables() [][]byte {
	if f.tables == nil {
		f.tables = append(make([][]byte, 0, 1+len(f.order)), f.pat.packets)
		for _, pid := range f.order {
			f.tables = append(f.tables, f.pmts[pid].packets)
		}
	}
	return f.tables
}

// add takes in a packet. It returns the section that the packet completes, or nil.
func (t *table) add(p []byte, starts bool) []byte {
	payload := payloadOf(p)
	if starts {
		if len(payload) == 0 || int(payload[0])+1 > len(payload) {
			return nil
		}
		payload = payload[payload[0]+1:]
		t.next, t.section, t.want = nil, nil, 0
		if len(payload) >= 3 {
			t.want = 3 + int(payload[1]&0x0f)<<8 + int(payload[2])
		}
	}
	if t.want == 0 || len(t.next) >= mostPackets*packet {
		return nil
	}
	t.next, t.section = append(t.next, p...), append(t.section, payload...)
	if len(t.section) < t.want {
		return nil
	}
	section := t.section[:t.want]
	t.packets, t.next, t.section, t.want = t.next, nil, nil, 0
	return section
}

func payloadOf(p []byte) []byte {
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	if p[3]&0x10 == 0 || at >= packet {
		return nil
	}
	return p[at:]
}

func (f *ts) readPAT(section []byte) {
	if section[0] != 0 || len(section) < 12 {
		return
	}
	var order []int
	for entries := section[8 : len(section)-4]; len(entries) >= 4; entries = entries[4:] {
		if number := int(entries[0])<<8 | int(entries[1]); number != 0 && len(order) < mostTables {
			order = append(order, int(entries[2]&0x1f)<<8|int(entries[3]))
		}
	}
	slices.Sort(order)
	if order = slices.Compact(order); slices.Equal(order, f.order) {
		return
	}
	f.order, f.pmts, f.video, f.marked, f.since = order, map[int]*table{}, map[int]int{}, false, 0
	for _, pid := range order {
		f.pmts[pid] = &table{}
	}
}

func (f *ts) readPMT(t *table, section []byte) {
	if section[0] != 2 || len(section) < 16 {
		return
	}
	for _, pid := range t.video {
		if f.video[pid]--; f.video[pid] == 0 {
			delete(f.video, pid)
		}
	}
	t.video = nil
	streams := section[12 : len(section)-4]
	if skip := int(section[10]&0x0f)<<8 | int(section[11]); skip <= len(streams) {
		streams = streams[skip:]
	}
	for len(streams) >= 5 {
		if pid := int(streams[1]&0x1f)<<8 | int(streams[2]); isVideo(streams[0]) {
			t.video = append(t.video, pid)
			f.video[pid]++
		}
		streams = streams[min(len(streams), 5+int(streams[3]&0x0f)<<8+int(streams[4])):]
	}
}

// isVideo judges by the stream type: MPEG-1, MPEG-2, MPEG-4, H.264, JPEG 2000, H.265, H.266, AVS, VC-1.
func isVideo(streamType byte) bool {
	switch streamType {
	case 0x01, 0x02, 0x10, 0x1b, 0x1f, 0x20, 0x21, 0x24, 0x33, 0x42, 0xd1, 0xd2, 0xea:
		return true
	}
	return false
}
