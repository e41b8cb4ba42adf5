package rangeserve

import "time"

// Later makes f see its files as it will see them in a while, when they have been unchanged for long.
func (f *Files) Later(d time.Duration) *Files {
	f.now = func() time.Time { return time.Now().Add(d) }
	return f
}
