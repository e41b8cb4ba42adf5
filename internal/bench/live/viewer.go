package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// figure is the result of one round of one server.
type figure struct {
	cores               float64
	memory              int64 // for each viewer
	playlists, segments []time.Duration
}

// watch lets the viewers come, and measures when all are there.
func watch(s hammer.Server, viewers int, span time.Duration) (f figure, err error) {
	const settle = 2 * duration
	empty, err := s.PSS()
	if err != nil {
		return f, err
	}
	all, errs := make([]viewer, viewers), make([]error, viewers)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range all {
		v := &all[i]
		v.from, v.until = began.Add(settle), began.Add(settle+span)
		if v.conn, err = hammer.Dial(s.Addr); err != nil {
			return f, err
		}
		defer v.conn.Close()
	}
	for i := range all {
		wg.Go(func() {
			time.Sleep(duration * time.Duration(i) / time.Duration(viewers))
			errs[i] = all[i].watch()
		})
	}
	time.Sleep(time.Until(began.Add(settle)))
	before, err := s.CPU()
	if err != nil {
		return f, err
	}
	time.Sleep(time.Until(began.Add(settle + span)))
	after, err := s.CPU()
	if err != nil {
		return f, err
	}
	full, err := s.PSS()
	if err != nil {
		return f, err
	}
	wg.Wait()
	f = figure{cores: (after - before).Seconds() / span.Seconds(), memory: (full - empty) / int64(viewers)}
	for _, v := range all {
		f.playlists, f.segments = append(f.playlists, v.playlists...), append(f.segments, v.segments...)
	}
	return f, errors.Join(errs...)
}

// viewer requests the playlist every two seconds, and the last segment in it if that is new.
type viewer struct {
	conn                *hammer.Conn
	from, until         time.Time // the time that is measured
	last                string
	playlists, segments []time.Duration
}

// buffers are used for one answer at a time, because viewers wait most of the time.
var buffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

func (v *viewer) watch() error {
	for next := time.Now(); next.Before(v.until); next = next.Add(duration) {
		time.Sleep(time.Until(next))
		if err := v.turn(); err != nil {
			return err
		}
	}
	return nil
}

func (v *viewer) turn() error {
	buf := buffers.Get().(*[4 << 10]byte)
	defer buffers.Put(buf)
	asked := time.Now()
	list, _, err := v.conn.Get("/live/index.m3u8", buf[:])
	if err != nil {
		return err
	}
	v.took(&v.playlists, asked)
	list = bytes.TrimSpace(list)
	name := string(list[bytes.LastIndexByte(list, '\n')+1:])
	name = name[strings.LastIndexByte(name, '/')+1:]
	if !strings.HasPrefix(name, "segment-") {
		return fmt.Errorf("%q", list)
	}
	if name == v.last {
		return nil
	}
	v.last = name
	asked = time.Now()
	_, length, err := v.conn.Get("/live/"+name, buf[:])
	if err == nil && length != size {
		err = fmt.Errorf("a segment of %d bytes", length)
	}
	v.took(&v.segments, asked)
	return err
}

func (v *viewer) took(list *[]time.Duration, asked time.Time) {
	if !asked.Before(v.from) {
		*list = append(*list, time.Since(asked))
	}
}
