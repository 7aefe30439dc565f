#!/usr/bin/env bash
# Lay a built release out in STAGING: stage_release.sh STAGING BUILD SOURCE PROGRAM...
set -euo pipefail

staging=$1 build=$2 source=$3
shift 3

rm -rf "$staging"
install -d -m 0755 "$staging/bin" "$staging/converter"
install -m 0755 -t "$staging/bin" "${@/#/$build/bin/}"
# The converter is pinned with the binaries: it travels in the release.
cp --recursive "$source/convert_hf_to_gguf.py" "$source/conversion" "$source/gguf-py" "$source/requirements" \
  "$staging/converter/"
