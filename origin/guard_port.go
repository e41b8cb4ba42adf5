package origin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ports are those that Guard.Ports names.
type ports struct {
	ranges []portRange
	text   string // as it was configured
}

type portRange struct{ first, last uint16 }

// decoys are ports where something listens that understands enough of an HTTP request to do harm by it, or to tell what it
// is: those that browsers refuse (Fetch, "bad port"), and common databases and control planes.
var decoys = []uint16{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115,
	117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 500, 502, 512, 513, 514, 515, 526, 530, 531, 532, 540, 543,
	544, 548, 554, 556, 563, 587, 601, 623, 631, 636, 873, 989, 990, 993, 995, 1099, 1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181,
	2375, 2376, 2377, 2379, 2380, 3268, 3269, 3306, 3389, 3659, 4045, 4190, 4369, 4786, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 5901, 5984,
	5985, 5986, 6000, 6066, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 7001, 7199, 7473, 7474, 7547, 7687,
	8291, 8500, 8600, 8883, 9042, 9092, 9160, 9200, 9300, 9418, 10080, 10250, 10255, 10256, 11211, 15672, 25672, 26257, 27017, 27018, 27019, 28015, 50070,
}

// ports reads a list. Nil stays nil.
func (f *faults) ports(list []string) *ports {
	if list == nil {
		return nil
	}
	p := &ports{text: strings.Join(list, ", ")}
	for _, s := range list {
		if s == "all" {
			p.ranges = append(p.ranges, portRange{1, 65535})
			continue
		}
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		first, err1 := parsePort(from)
		last, err2 := parsePort(to)
		if err1 != nil || err2 != nil || first > last {
			f.add("Ports", s, `is neither a port, nor a range such as "8000-8999", nor "all"`)
			continue
		}
		p.ranges = append(p.ranges, portRange{first, last})
	}
	return p
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && (n == 0 || s[0] == '0' || s[0] == '+') {
		err = strconv.ErrSyntax
	}
	return uint16(n), err
}

// open reports whether a port may be reached.
func (p *ports) open(port uint16) bool {
	if p == nil {
		return port == 80 || port == 443
	}
	return slices.ContainsFunc(p.ranges, func(r portRange) bool {
		inside := r.first <= port && port <= r.last
		return inside && (r.first == r.last || !slices.Contains(decoys, port))
	})
}

// refusal says for the operator why a port is not open.
func (p *ports) refusal(port uint16) error {
	detail := fmt.Sprintf("port %d is not in Guard.Ports (80 and 443)", port)
	if p != nil {
		detail = fmt.Sprintf("port %d is not in Guard.Ports (%s)", port, p.text)
		if slices.Contains(decoys, port) {
			detail += "; it is one that attackers look for, so it must be named by itself"
		}
	}
	return &ForbiddenError{Reason: "port is not in Guard.Ports", Detail: detail}
}
