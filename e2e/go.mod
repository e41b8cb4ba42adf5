module github.com/hlsproxy/hlsproxy/e2e

go 1.26.0

require (
	github.com/hlsproxy/hlsproxy v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
)

require github.com/Eyevinn/hls-m3u8 v0.6.5

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace github.com/hlsproxy/hlsproxy => ../
