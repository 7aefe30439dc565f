#!/usr/bin/env bash
# Unpack a built web UI into DIST: unpack_ui.sh ARCHIVE DIST
set -euo pipefail

archive=$1 dist=$2

rm -rf "$dist.part"
mkdir "$dist.part"
tar --extract --file "$archive" --directory "$dist.part" --no-same-owner
test -e "$dist.part/index.html"
mv "$dist.part" "$dist"
