package rangeserve

import (
	"container/list"
	"path"
	"strings"
	"sync"
)

const (
	maxLayouts      = 256
	maxLayoutMemory = maxMoov
)

// layouts remembers the layouts of the files served last, by what the files were then. The zero value is ready.
type layouts struct {
	mu     sync.Mutex
	byFile map[identity]*list.Element
	recent list.List // of *known, the last used in front
	memory int64
}

// known is what is known of one file.
type known struct {
	file  identity
	build sync.Once
	*layout
	kept int64 // bytes that count for the bound, set under the lock of layouts
}

// rearrangeable reports whether a file of this name may be one for Faststart.
func rearrangeable(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".mp4", ".m4v", ".mov", ".qt", ".m4a", ".m4b", ".f4v", ".3gp", ".3g2":
		return true
	}
	return false
}

// view is the rearranged view of an open file, or nil where there is none. Requests that come at once for a file that is
// not known yet wait for one of them to look.
func (l *layouts) view(h *handle) *view {
	k := l.get(h.id)
	k.build.Do(func() {
		k.layout, _ = layOut(h, h.info.Size()) // whatever the fault, the file itself is still there to be served
		l.keep(k)
	})
	if k.layout == nil {
		return nil
	}
	return &view{layout: k.layout, src: h}
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
	l.forget()
	return k
}

// keep counts the memory of k, unless it has been forgotten meanwhile.
func (l *layouts) keep(k *known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byFile[k.file]; k.layout != nil && ok && e.Value == k {
		k.kept = k.layout.memory()
		l.memory += k.kept
		l.forget()
	}
}

// forget drops the files not used for longest until the bounds hold.
func (l *layouts) forget() {
	for l.recent.Len() > maxLayouts || l.memory > maxLayoutMemory {
		k := l.recent.Remove(l.recent.Back()).(*known)
		delete(l.byFile, k.file)
		l.memory -= k.kept
	}
}
