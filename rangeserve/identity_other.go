//go:build !linux

package rangeserve

import "os"

const openLarge = 0

func appendIdentity(b []byte, _ os.FileInfo) []byte { return b }
