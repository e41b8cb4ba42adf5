package hammer

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc (USER_HZ). It is the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpu is the processor time that a process and its children have taken. Unlike the number of requests per second, it does not
// depend on what else the machine does.
func cpu(pid int) (time.Duration, error) {
	total := time.Duration(0)
	for _, p := range family(pid) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, err
		}
		// The name in parentheses may hold anything. utime and stime are the 12th and 13th fields after it.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 13 {
			return 0, fmt.Errorf("/proc/%d/stat: %q", p, stat)
		}
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(n) * tick
		}
	}
	return total, nil
}

// CPU is the processor time that a server has taken.
func (s Server) CPU() (time.Duration, error) { return cpu(s.pid) }

// PSS is the memory of a server, in bytes. Memory that it shares with others counts in part.
func (s Server) PSS() (int64, error) {
	total := int64(0)
	for _, p := range family(s.pid) {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			return 0, err
		}
		_, after, _ := strings.Cut(string(rollup), "\nPss:")
		kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
		n, err := strconv.ParseInt(kib, 10, 64)
		if err != nil {
			return 0, err
		}
		total += n << 10
	}
	return total, nil
}

// family is a process and all its descendants.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", all[i], all[i]))
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
