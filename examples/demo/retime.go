package main

import (
	"encoding/binary"
	"errors"
	"time"
)

var errMedia = errors.New("the embedded media has an unexpected shape")

// newFMP4Retimer moves tfdt, the decode time of a fragment (ISO/IEC 14496-12 section 8.8.12), and counts on in mfhd.
func newFMP4Retimer(init []byte) (retimer, error) {
	mdhd := box(init, "moov", "trak", "mdia", "mdhd")
	if len(mdhd) < 16 || mdhd[0] != 0 {
		return nil, errMedia
	}
	scale := int64(binary.BigEndian.Uint32(mdhd[12:]))
	return func(fragment []byte, loops int64) error {
		tfdt, mfhd := box(fragment, "moof", "traf", "tfdt"), box(fragment, "moof", "mfhd")
		if len(tfdt) < 12 || tfdt[0] != 1 || len(mfhd) < 8 {
			return errMedia
		}
		shift := loops * scale * int64(loopTime/time.Millisecond) / 1000
		binary.BigEndian.PutUint64(tfdt[4:], binary.BigEndian.Uint64(tfdt[4:])+uint64(shift))
		binary.BigEndian.PutUint32(mfhd[4:], binary.BigEndian.Uint32(mfhd[4:])+uint32(loops*loopLength*partsPerSegment))
		return nil
	}, nil
}

// box returns the payload of the first box at a path of types, nil where there is none.
func box(b []byte, path ...string) []byte {
	for len(b) >= 8 {
		size := int(binary.BigEndian.Uint32(b))
		if size < 8 || size > len(b) {
			return nil
		}
		if string(b[4:8]) != path[0] {
			b = b[size:]
			continue
		}
		if len(path) == 1 {
			return b[8:size]
		}
		b, path = b[8:size], path[1:]
	}
	return nil
}

const (
	tsPacket = 188
	tsClock  = 90_000 // PTS, DTS and the base of PCR, 33 bits each
)

// newTSRetimer moves PCR, PTS and DTS, and lets the continuity counters run on across loops (ISO/IEC 13818-1 section 2.4.3).
func newTSRetimer(loop [][]byte) retimer {
	perLoop := map[uint16]int64{} // packets with a payload
	for _, segment := range loop {
		for p := segment; len(p) >= tsPacket; p = p[tsPacket:] {
			if p[3]&0x10 != 0 {
				perLoop[pid(p)]++
			}
		}
	}
	return func(segment []byte, loops int64) error {
		shift := uint64(loops * int64(loopTime/time.Millisecond) * tsClock / 1000)
		for ; len(segment) >= tsPacket; segment = segment[tsPacket:] {
			p := segment[:tsPacket]
			if p[0] != 0x47 {
				return errMedia
			}
			p[3] = p[3]&0xF0 | byte(int64(p[3]&0x0F)+loops*perLoop[pid(p)])&0x0F
			retimePacket(p, shift)
		}
		return nil
	}
}

func pid(p []byte) uint16 { return binary.BigEndian.Uint16(p[1:]) & 0x1FFF }

func retimePacket(p []byte, shift uint64) {
	at := 4
	if p[3]&0x20 != 0 { // adaptation field
		at += 1 + int(p[4])
		if p[4] >= 7 && p[5]&0x10 != 0 {
			pcr := uint64(binary.BigEndian.Uint32(p[6:]))<<1 | uint64(p[10]>>7)
			pcr += shift
			binary.BigEndian.PutUint32(p[6:], uint32(pcr>>1))
			p[10] = p[10]&0x7F | byte(pcr&1)<<7
		}
	}
	starts := p[1]&0x40 != 0 && p[3]&0x10 != 0
	if !starts || at+19 > len(p) || p[at] != 0 || p[at+1] != 0 || p[at+2] != 1 {
		return
	}
	flags := p[at+7]
	if flags&0x80 != 0 {
		shiftTimestamp(p[at+9:], shift)
	}
	if flags&0x40 != 0 {
		shiftTimestamp(p[at+14:], shift)
	}
}

// shiftTimestamp adds to a PTS or DTS: 33 bits spread over five bytes with marker bits between.
func shiftTimestamp(b []byte, shift uint64) {
	t := uint64(b[0]>>1&7)<<30 | uint64(b[1])<<22 | uint64(b[2]>>1)<<15 | uint64(b[3])<<7 | uint64(b[4]>>1)
	t += shift
	b[0] = b[0]&0xF1 | byte(t>>30&7)<<1
	b[1] = byte(t >> 22)
	b[2] = byte(t>>15)<<1 | 1
	b[3] = byte(t >> 7)
	b[4] = byte(t)<<1 | 1
}
