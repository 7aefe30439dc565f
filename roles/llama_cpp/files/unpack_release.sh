#!/usr/bin/env bash
# Unpack a builder's release into STAGING: unpack_release.sh TARBALL STAGING
set -euo pipefail

tarball=$1 staging=$2

rm -rf "$staging"
mkdir --parents "$staging"
tar --extract --file "$tarball" --directory "$staging" --no-same-owner
