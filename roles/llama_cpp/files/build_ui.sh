#!/usr/bin/env bash
# Build the web UI in SOURCE into DIST: build_ui.sh SOURCE DIST
set -euo pipefail

source=$1 dist=$2

# The run that we have waited for may have built it.
if [[ -e $dist ]]; then
  exit 0
fi
cd "$source"
rm -rf "$dist.part"
npm ci --no-audit --no-fund
LLAMA_UI_OUT_DIR="$dist.part" npm run build
test -e "$dist.part/index.html"
mv "$dist.part" "$dist"
rm -rf node_modules
