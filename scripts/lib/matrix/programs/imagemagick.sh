# shellcheck shell=bash disable=SC2034,SC2154
kind='images, modules by dlopen'
convert=$(per_suite convert-im6.q16 magick-im7.q16 magick-im7.q16)
packages=(imagemagick)
entries=("$convert")
check() {
  run "$convert" -size 64x48 gradient:red-blue picture.png
  run "$convert" picture.png -resize 50% picture.jpg
  run "$convert" picture.jpg -rotate 90 picture.webp
  run "$convert" picture.webp -format '%m %wx%h\n' info:
  run "$convert" -font /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf -pointsize 20 label:text -trim text.png
  run "$convert" text.png -format '%[fx:w>20&&h>10] %m\n' info:
}
expected() {
  printf '%s\n' 'WEBP 24x32' '1 PNG'
}
