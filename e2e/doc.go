// Package e2e plays HLS with real players through the example servers, which run as processes built from this tree:
// ffmpeg, mpv, VLC and GStreamer, and hls.js, Shaka and video.js in browsers without a window. It has tests only.
// docs/players.md says which player plays what.
//
// Run npm ci in this folder first, then go test. What is not installed skips the tests that need it; with
// HLSPROXY_REQUIRE_TOOLS=1 in the environment it fails them instead.
package e2e
