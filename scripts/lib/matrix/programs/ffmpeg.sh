# shellcheck shell=bash disable=SC2034,SC2154
kind='media, some 200 libraries'
packages=(ffmpeg)
entries=(ffmpeg ffprobe)
check() {
  run ffmpeg -loglevel error -f lavfi -i testsrc=duration=2:size=320x240:rate=10 -f lavfi -i sine=duration=2 \
    -c:v libx264 -pix_fmt yuv420p -c:a aac -shortest video.mp4
  run ffmpeg -loglevel error -i video.mp4 -vf scale=160:-1 -c:v libvpx-vp9 -c:a libopus -t 1 video.webm
  run ffprobe -loglevel error -show_entries stream=codec_name,width,height -of csv=p=0 video.mp4
  run ffprobe -loglevel error -show_entries stream=codec_name,width,height -of csv=p=0 video.webm
  run ffmpeg -loglevel error -i video.webm -frames:v 1 frame.png
  head -c 4 frame.png | tail -c 3
}
expected() {
  printf '%s\n' h264,320,240 aac vp9,160,120 opus
  printf PNG
}
