package cache

import (
	"slices"
	"time"
)

// alloc returns an empty chunk with room for at most n bytes; nil if there is no room for any.
func (m *Memory) alloc(p *pages, n int) []byte {
	want := (n + pageSize - 1) / pageSize
	m.mu.Lock()
	defer m.mu.Unlock()
	if int64(n) > m.max || !m.makeRoom(int64(want)*pageSize) {
		return nil
	}
	r, mem := m.arena.alloc(want, p.runs)
	if mem == nil {
		return nil
	}
	p.runs = append(p.runs, r)
	return mem[:0:min(len(mem), n)]
}

func (m *Memory) free(p *pages) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.release(p)
}

func (m *Memory) release(p *pages) {
	for _, r := range slices.Backward(p.runs) { // the next body gets them in their order again
		m.arena.release(r)
	}
	p.runs = nil
}

// trim gives back the pages of the last run beyond its first n bytes.
func (m *Memory) trim(p *pages, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &p.runs[len(p.runs)-1]
	keep := (n + pageSize - 1) / pageSize
	m.arena.release(run{r.slab, r.first + keep, r.pages - keep})
	r.pages = keep
}

// dropFirst gives back the first runs, whose marks are given: those that are torn after a while.
func (m *Memory) dropFirst(p *pages, marks []mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range p.runs[:len(marks)] {
		if marks[i].torn {
			late := newPages(m)
			late.runs = []run{r}
			time.AfterFunc(tornFor, late.release)
			continue
		}
		m.arena.release(r)
	}
	p.runs = p.runs[len(marks):]
}
