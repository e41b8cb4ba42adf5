package cluster

import (
	"iter"
	"reflect"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func TestBothTiersHaveAllFieldsOfThePattern(t *testing.T) {
	pattern := &cache.Transport{
		Store: cache.NewMemory(1), TTL: cache.HLS, Key: cache.Key, Idle: 1, MaxBody: 2, MaxFills: 3, MinRate: 4,
		StaleIfError: 5, StaleIfGone: 7, StaleWhileRevalidate: 6, Name: "a", OnFill: func(cache.Fill) {},
		Refs: func([]byte, string) iter.Seq[string] { return nil },
	}
	n, err := New(Config{Self: "http://a:1", Directory: Rendezvous(Static("http://a:1")), Secret: make([]byte, 16), Cache: pattern})
	require.NoError(t, err)
	same := func(tier *cache.Transport, but ...string) {
		for f := range reflect.ValueOf(pattern).Elem().Type().Fields() {
			if !f.IsExported() {
				continue
			}
			got, want := reflect.ValueOf(tier).Elem().FieldByIndex(f.Index), reflect.ValueOf(pattern).Elem().FieldByIndex(f.Index)
			switch f.Name {
			case "Base":
				require.False(t, got.IsNil())
				continue
			case but[0]:
				require.True(t, got.IsZero(), f.Name)
				continue
			}
			if f.Type.Kind() == reflect.Func {
				require.Equal(t, want.Pointer(), got.Pointer(), f.Name)
			} else {
				require.Equal(t, want.Interface(), got.Interface(), f.Name)
			}
		}
	}
	same(n.edge, "OnFill")
	same(n.parent, "StaleWhileRevalidate")
}
