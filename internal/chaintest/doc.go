// Package chaintest tests all blocks in one chain, as a service mounts them. It has tests only.
package chaintest
