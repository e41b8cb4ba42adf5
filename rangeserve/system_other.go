//go:build !unix

package rangeserve

import (
	"os"
	"time"
)

// openFlags are nothing where named pipes do not lie in folders.
const openFlags = 0

// maxHandles is nothing where an open file cannot be replaced or removed.
const maxHandles = 0

func appendIdentity(b []byte, _ os.FileInfo) []byte { return b }

func changeTime(info os.FileInfo) time.Time { return info.ModTime() }
