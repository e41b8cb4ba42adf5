package rangeserve

import (
	"container/list"
	"path"
	"strings"
	"sync"

	"github.com/hlsproxy/hlsproxy/rangeserve/internal/faststart"
)

// maxLayouts is how many layouts are kept. Each takes at most faststart.MaxMemory bytes.
const maxLayouts = 256

// layouts remembers the layouts of the files that were served last, as the files were then. The zero value is ready.
type layouts struct {
	mu     sync.Mutex
	byFile map[identity]*list.Element
	recent list.List // of *known, the most recently used in front
}

// known is a file and its layout.
type known struct {
	file   identity
	find   sync.Once
	layout *faststart.Layout
}

// rearrangeable reports whether a file of this name may be one for Faststart.
func rearrangeable(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".mp4", ".m4v", ".mov", ".qt", ".m4a", ".m4b", ".f4v", ".3gp", ".3g2":
		return true
	}
	return false
}

// of returns the layout of an open file, or nil if there is none. If several requests come for a file that is not known yet,
// one reads it and the others wait.
func (l *layouts) of(h *handle) *faststart.Layout {
	k := l.get(h.id)
	k.find.Do(func() { k.layout = findLayout(h) })
	return k.layout
}

// findLayout returns none if the file has any fault: the file itself can still be served.
func findLayout(h *handle) *faststart.Layout {
	layout, _ := faststart.Find(h, h.info.Size())
	return layout
}

func (l *layouts) get(file identity) *known {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byFile[file]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*known)
	}
	if l.byFile == nil {
		l.byFile = map[identity]*list.Element{}
	}
	k := &known{file: file}
	l.byFile[file] = l.recent.PushFront(k)
	for l.recent.Len() > maxLayouts {
		oldest := l.recent.Remove(l.recent.Back()).(*known)
		delete(l.byFile, oldest.file)
	}
	return k
}
