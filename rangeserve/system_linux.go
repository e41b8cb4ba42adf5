package rangeserve

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"
)

// openFlags keep open from waiting for the other end of a named pipe that takes the place of a file. For a regular file
// O_NONBLOCK means nothing; O_LARGEFILE is what os.Root leaves out on 32-bit systems and os.Open adds.
const openFlags = syscall.O_NONBLOCK | syscall.O_LARGEFILE

// maxHandles is how many files stay open between requests.
const maxHandles = 64

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

// changeTime is when a file was last changed in any way. Unlike the modification time, no program can set it.
func changeTime(info os.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
