#!/bin/sh
# Renders the demo's test stream: 240 frames of picture in two qualities and 10 plucked notes, as fMP4 and as MPEG-TS.
# Needs ffmpeg with libx264 and drawtext. The results are committed.
#
# A segment is 48 frames at 25 fps = 90 AAC frames at 48 kHz = 1.92 s, so that picture and sound are cut at the same
# instant, and five of them make the loop of 9.6 s. The sound has the period of the loop and is taken from the middle of
# three, so that the end of a loop and the start of the next decode as one signal.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf fmp4 ts

segment=1.92 loop=9.6 part=320000 # s, s, us
font='font=DejaVu Sans Mono:fontcolor=white'

# Two beats a segment: a box lights up at each beat, the dial turns once a beat, and the frame counter shows every frame.
turn="mod(1+N/24-atan2(X-84,84-Y)/(2*PI),1)"
picture="
color=s=640x360:r=25:d=$loop:c=0x0d1526,
geq=lum='26+22*Y/H+8*X/W':cb='138-3*Y/H':cr='121+3*X/W',
drawbox=x=0:y=348:w=iw:h=12:c=0x16233f:t=fill,
drawtext=$font:fontsize=20:x=32:y=30:fontcolor=0x9fb4d8:text='hlsproxy demo',
drawtext=$font:fontsize=88:x=32:y=100:text='%{eif\\:floor(n/25)\\:d\\:2}.%{eif\\:mod(n\\,25)*4\\:d\\:2}',
drawtext=$font:fontsize=20:x=32:y=208:fontcolor=0x9fb4d8:text='frame %{eif\\:n\\:d\\:3} of 240'[back];
color=s=44x44:r=25:d=$loop:c=0x22345c,
split=10$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '[d%d]' $i; done);
color=s=44x44:r=25:d=$loop:c=0x34d0ba[lit];
color=s=64x12:r=25:d=$loop:c=0xffb454[hand];
color=s=168x168:r=25:d=$loop:c=black,format=yuva444p,
geq=lum='44+170*pow(1-$turn,3)':cb='138-26*pow(1-$turn,2)':cr='118-48*pow(1-$turn,2)':a='255*clip(84-hypot(X-84,Y-84),0,1)*clip(hypot(X-84,Y-84)-40,0,1)'[dial];
[back]$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '[d%d]overlay=x=%d:y=268[b%d];[b%d]' $i $((32 + 58 * i)) $i $i; done)
[lit]overlay=x='32+58*floor(n/24)':y=268[c];
[c][dial]overlay=x=440:y=76[e];
[e][hand]overlay=x='(W-w)*mod(n,24)/23':y=348"

# Ten notes of a pentatonic scale, 0.96 s each, with a soft attack and a long decay.
notes='220 277.18 329.63 369.99 440 554.37 440 369.99 329.63 277.18'
pitch=0 i=0
for hz in $notes; do
	pitch="$pitch+$hz*eq(mod(floor(t/0.96),10),$i)" i=$((i + 1))
done
note="(min(1,mod(t,0.96)*80)*exp(-4.2*mod(t,0.96))*(1-max(0,mod(t,0.96)-0.92)*25))"
tone="sin(2*PI*($pitch)*mod(t,0.96))"
over="sin(4*PI*($pitch)*mod(t,0.96))"
left="0.34*$note*($tone+0.30*$over)"
right="0.34*$note*($tone-0.18*$over)"

video() { # name, width x height, level, kbit/s
	ffmpeg -v error -y -f lavfi -i "$picture,scale=$2:flags=area,drawtext=$font:fontsize=h/18:x=w-tw-w/20:y=h/12:text='$2',format=yuv420p" \
		-frames:v 240 -c:v libx264 -preset veryslow -profile:v main -level "$3" -bf 0 -g 48 -keyint_min 48 -sc_threshold 0 \
		-crf 19 -maxrate "$4k" -bufsize "$4k" -threads 1 -color_range tv -fflags +bitexact -flags:v +bitexact "$work/$1.mp4"
}
video v0 640x360 3.0 400
video v1 320x180 1.3 150

ffmpeg -v error -y -f lavfi -i "aevalsrc='$left|$right':s=48000:d=28.8" -c:a aac -b:a 56k \
	-fflags +bitexact -flags:a +bitexact "$work/three.mp4"
# The encoder's first frame is its delay: frame 451 is the first of the second loop.
ffmpeg -v error -y -i "$work/three.mp4" -c copy -bsf:a "noise=amount=0:drop='lt(n,451)+gte(n,901)',setts=ts=N*1024" \
	-fflags +bitexact "$work/a0.mp4"

# Of fMP4 one file a track: a fragment of it is a part of low-latency HLS, 8 frames of picture or 15 of sound, and six
# fragments are a segment. Of MPEG-TS a file a segment.
mkdir fmp4
for name in v0 v1 a0; do
	common="-v error -y -i $work/$name.mp4 -c copy -fflags +bitexact"
	ffmpeg $common -f mp4 -movflags +empty_moov+default_base_moof+skip_trailer -frag_duration $part "fmp4/$name.mp4"
	mkdir -p "ts/$name"
	ffmpeg $common -f hls -hls_time $segment -hls_list_size 0 -hls_segment_filename "ts/$name/%d.ts" "ts/$name/list.m3u8"
	grep EXTINF "ts/$name/list.m3u8"
	rm "ts/$name/list.m3u8"
done
du -cb fmp4 ts | tail -n 1
