package rangeserve

import "time"

// Later makes f see its files as they will be seen in a while, when they have not been changed for long.
func (f *Files) Later(d time.Duration) *Files {
	f.now = func() time.Time { return time.Now().Add(d) }
	return f
}
