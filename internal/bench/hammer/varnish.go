package hammer

import (
	"os/exec"
	"path/filepath"
)

// Varnish adds a server in front of an origin. There may be further arguments. If there is no varnishd, the error is
// exec.ErrNotFound.
func (s *Servers) Varnish(origin string, args ...string) error {
	path, err := exec.LookPath("varnishd")
	if err != nil {
		return err
	}
	addr, err := FreeAddr()
	if err != nil {
		return err
	}
	args = append([]string{
		"-c", "0", path, "-F", "-a", addr, "-b", origin, "-s", "malloc,1G", "-n", filepath.Join(s.Dir, "varnish"),
		"-p", "default_ttl=3600", "-j", "none",
	}, args...)
	return s.Add("varnish", addr, exec.Command("taskset", args...))
}
