package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

const mostViewers = 500

// controls are the actions of the page's buttons: POST requests of the page itself, from this machine only.
func (d *demo) controls() http.Handler {
	mux := http.NewServeMux()
	for path, do := range map[string]func(*http.Request) error{
		"cache": d.switchCache, "origin": d.switchOrigin, "viewers": d.setViewers, "expire": d.expire,
	} {
		mux.HandleFunc("POST /control/"+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	// The Host check stops other pages whose name was made to resolve to this machine.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r) {
			http.Error(w, "the controls work on the machine that the demo runs on", http.StatusForbidden)
			return
		}
		http.NewCrossOriginProtection().Handler(mux).ServeHTTP(w, r)
	})
}

// isLocal reports whether a request comes from this machine and names it by a local name.
func isLocal(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	return serve.IsLoopback(r.Host)
}

func (d *demo) switchCache(r *http.Request) error {
	on, err := strconv.ParseBool(r.FormValue("on"))
	if err != nil {
		return fmt.Errorf("on: %w", err)
	}
	if d.past.off.Swap(!on) == on {
		d.meter.note(map[bool]string{true: "cache on", false: "cache off"}[on])
	}
	return nil
}

func (d *demo) switchOrigin(r *http.Request) error {
	up, err := strconv.ParseBool(r.FormValue("up"))
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	i := slices.IndexFunc(d.origins, func(o *originServer) bool { return o.name == r.FormValue("name") })
	if i < 0 {
		return fmt.Errorf("name: no such origin")
	}
	if !up {
		d.meter.note(d.origins[i].name + " killed")
		d.origins[i].kill()
		return nil
	}
	d.meter.note(d.origins[i].name + " back")
	return d.origins[i].start()
}

func (d *demo) setViewers(r *http.Request) error {
	n, err := strconv.Atoi(r.FormValue("count"))
	if err != nil || n < 0 || n > mostViewers {
		return fmt.Errorf("count: not a number from 0 to %d", mostViewers)
	}
	d.meter.note(fmt.Sprintf("crowd of %d", n))
	return d.crowd.resize(r.Context(), n)
}

func (d *demo) expire(r *http.Request) error {
	session := r.FormValue("session")
	if session == "" || len(session) > 64 {
		return fmt.Errorf("session: missing")
	}
	d.links.end(session)
	d.meter.note("link expired")
	return nil
}
