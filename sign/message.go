package sign

import "encoding/binary"

// messageRoom is for a message on the stack; a longer one is moved to the heap.
const messageRoom = 256

// appendPrefix appends what the MAC of a token covers besides the URL.
func appendPrefix(dst, head []byte, claims string) []byte {
	dst = append(append(dst, head...), 'R') // for reading
	return append(appendLen(dst, len(claims)), claims...)
}

// appendDirectory adds the path of a directory to a message, whose query is free.
func appendDirectory(dst, dir []byte) []byte {
	return append(append(appendLen(dst, len(dir)), dir...), 0)
}

// appendExact adds a path and those parameters of a query that count.
func appendExact(dst, path, query []byte, hasQuery bool, param string) []byte {
	var room [messageRoom]byte
	counted := room[:0]
	if hasQuery {
		counted = appendQuery(counted, query, param)
	}
	dst = append(appendLen(dst, len(path)), path...)
	return append(appendLen(dst, len(counted)), counted...)
}

// appendWhole is appendExact for a query of which isWhole is true.
func appendWhole(dst, path, query []byte, hasQuery bool) []byte {
	dst = append(appendLen(dst, len(path)), path...)
	if !hasQuery {
		return append(dst, 0)
	}
	return append(append(appendLen(dst, len(query)+1), '&'), query...)
}

func appendLen(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.AppendUvarint(dst, uint64(n))
}
