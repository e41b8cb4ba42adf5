// Package hlsproxy is documentation only; the code is in its sub-packages.
package hlsproxy
