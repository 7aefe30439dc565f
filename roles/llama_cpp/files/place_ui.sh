#!/usr/bin/env bash
# Put the web UI at DEST, where CMake looks for it; none where DIST is empty: place_ui.sh DIST DEST
set -euo pipefail

dist=$1 dest=$2

# Releases with and without a web UI share the source tree.
rm -rf "$dest"
if [[ -n $dist ]]; then
  cp --recursive "$dist" "$dest"
fi
