package rangeserve

import (
	"container/list"
	"path"
	"strings"
	"sync"

	"github.com/hlsproxy/hlsproxy/rangeserve/internal/faststart"
)

// maxLayouts is how many are kept. Each has at most faststart.MaxMemory bytes.
const maxLayouts = 256

// layouts remembers the layouts of the files served last, by what the files were then. The zero value is ready.
type layouts struct {
	mu     sync.Mutex
	byFile map[identity]*list.Element
	recent list.List // of *known, the last used in front
}

// known is what is known of one file.
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

// of is the layout of an open file, or nil where there is none. Requests that come at once for a file that is not known yet
// wait for one of them to look.
func (l *layouts) of(h *handle) *faststart.Layout {
	k := l.get(h.id)
	k.find.Do(func() { k.layout = findLayout(h) })
	return k.layout
}

// findLayout gives none whatever the fault: the file itself is still there to be served.
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
