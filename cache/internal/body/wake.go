package body

import "time"

func (b *Buffer) tellLater() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	if left := b.every - time.Since(b.toldAt); b.size > b.told && left > 0 { // they were woken meanwhile
		b.armed = true
		b.later.Reset(left)
		return
	}
	b.tellPending()
}

// tellPending wakes readers if there is anything that they were not woken for.
func (b *Buffer) tellPending() {
	if b.size > b.told {
		b.tell(time.Now())
	}
}

// Gather lets readers who have caught up wait for more from now on. They are woken when enough bytes have arrived, and at the
// latest when every has passed since they were last woken. New chunks have the length chunk, so that what readers are woken for
// lies in one piece more often. Only the writer may call it.
func (b *Buffer) Gather(every time.Duration, enough, chunk int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.every, b.enough, b.chunk = every, enough, chunk
}

func (b *Buffer) tell(now time.Time) {
	b.told, b.toldAt = b.size, now
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
}

// Grown returns a channel that is closed when there are more than size bytes. It returns nil if there are already.
func (b *Buffer) Grown(size int64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.size > size {
		return nil
	}
	if b.wake == nil {
		b.wake = make(chan struct{})
	}
	return b.wake
}

// Nudge wakes waiting readers although there is nothing new.
func (b *Buffer) Nudge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(time.Now())
}

// Moved returns a channel that is closed when a reader has moved on, or at the next Wake. It wakes the readers who have caught
// up: the writer may be waiting for them.
func (b *Buffer) Moved() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tellPending()
	b.paced.Store(true)
	if b.moved == nil {
		b.moved = make(chan struct{})
	}
	return b.moved
}

// Wake lets everybody who waits for Moved look again.
func (b *Buffer) Wake() {
	if !b.paced.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wakeWriter()
}

func (b *Buffer) wakeWriter() {
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}
