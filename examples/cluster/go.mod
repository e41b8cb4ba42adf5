module github.com/hlsproxy/hlsproxy/examples/cluster

go 1.26.0

replace (
	github.com/hlsproxy/hlsproxy => ../..
	github.com/hlsproxy/hlsproxy/cluster => ../../cluster
)

require (
	github.com/hlsproxy/hlsproxy v0.0.0-00010101000000-000000000000
	github.com/hlsproxy/hlsproxy/cluster v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	github.com/valkey-io/valkey-go v1.0.79
	go.yaml.in/yaml/v3 v3.0.5
)

require (
	github.com/Eyevinn/hls-m3u8 v0.6.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
