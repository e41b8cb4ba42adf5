// Package e2e plays HLS with real players through the example servers, which run as processes built from this tree:
// ffmpeg, ffprobe, and hls.js in a headless Chromium. It has tests only.
//
// Run npm ci in this folder first, then go test. What is not installed skips the tests that need it; with
// HLSPROXY_REQUIRE_TOOLS=1 in the environment it fails them instead.
package e2e
