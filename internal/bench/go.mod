module github.com/hlsproxy/hlsproxy/internal/bench

go 1.26.0

require github.com/hlsproxy/hlsproxy v0.0.0

require (
	github.com/Eyevinn/hls-m3u8 v0.6.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace github.com/hlsproxy/hlsproxy => ../..
