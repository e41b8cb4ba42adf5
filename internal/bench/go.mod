module github.com/hlsproxy/hlsproxy/internal/bench

go 1.26.0

replace github.com/hlsproxy/hlsproxy => ../..

require (
	github.com/Eyevinn/hls-m3u8 v0.6.5
	github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign v1.9.16
	github.com/bluenviron/gohlslib/v2 v2.2.0
	github.com/grafov/m3u8 v0.12.1
	github.com/hlsproxy/hlsproxy v0.0.0-00010101000000-000000000000
)

require golang.org/x/sync v0.24.0 // indirect
