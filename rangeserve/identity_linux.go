package rangeserve

import (
	"encoding/binary"
	"os"
	"syscall"
)

// openLarge is for 32-bit systems, where os.Root leaves out what os.Open adds.
const openLarge = syscall.O_LARGEFILE

// appendIdentity appends what tells two files, or two contents of one, apart beyond size and modification time. The
// change time is what no program can set back.
func appendIdentity(b []byte, info os.FileInfo) []byte {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, uint64(st.Dev))
	b = binary.BigEndian.AppendUint64(b, uint64(st.Ino))
	return binary.BigEndian.AppendUint64(b, uint64(st.Ctim.Nano()))
}
