#!/usr/bin/env bash
# Fetch one commit and no history into DIRECTORY: fetch_source.sh DIRECTORY URL COMMIT
set -euo pipefail

directory=$1 url=$2 commit=$3

# What a killed run has finished is taken; what it has left half-way is removed.
if [[ $(git -C "$directory" rev-parse --verify --quiet HEAD 2>&1 || true) == "$commit" ]]; then
  exit 0
fi
rm -rf "$directory"
git init --quiet "$directory"
cd "$directory"
git fetch --progress --no-tags --depth 1 "$url" "$commit"
git checkout --quiet --detach "$commit"
