#!/usr/bin/env bash
# Create a Python environment with pinned packages: converter_environment.sh VENV REQUIREMENT...
set -euo pipefail

venv=$1
shift

# One whose Python an upgrade of the system has replaced is made again.
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv --system-site-packages "$venv"
fi
version=$("$venv/bin/python" -c 'import pip; print(pip.__version__)')
case $version in
  [0-9].* | 1?.* | 2[0-3].* | 24.0*) bar=off ;;
  *) bar=raw ;;
esac
exec "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar="$bar" "$@"
