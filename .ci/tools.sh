#!/usr/bin/env bash
# Puts the real components that tests drive under .tools/, each at a pinned version. What cannot be had is said, and
# the tests that need it then skip with that reason (or fail, under LOADCAST_REQUIRE_ALL=1).
set -uo pipefail
cd "$(dirname "$0")/.."

GRPCURL_VERSION=v1.9.3

mkdir -p .tools/bin
have() { [ "$(cat ".tools/$1.version" 2>/dev/null)" = "$2" ] && [ -x ".tools/bin/$1" ]; }

if ! have grpcurl "$GRPCURL_VERSION"; then
  if ! command -v go >/dev/null; then
    echo "tools: grpcurl needs Go, which is not installed" >&2
  elif GOBIN="$PWD/.tools/bin" go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"; then
    echo "$GRPCURL_VERSION" >.tools/grpcurl.version
  else
    echo "tools: grpcurl $GRPCURL_VERSION could not be built" >&2
  fi
fi
# Python Prophet and MLflow: some 0.9 GB and a minute or two, once.
python_stamp="$(cat .ci/python.txt)"
if [ "$(cat .tools/python.version 2>/dev/null)" != "$python_stamp" ]; then
  rm -rf .tools/python
  if ! command -v python3 >/dev/null; then
    echo "tools: Python's Prophet and MLflow need python3, which is not installed" >&2
  elif python3 -m venv .tools/python && .tools/python/bin/pip install --quiet --disable-pip-version-check --no-input -r .ci/python.txt; then
    echo "$python_stamp" >.tools/python.version
  else
    rm -rf .tools/python
    echo "tools: Python's Prophet and MLflow could not be installed (Python 3.11 or later and PyPI are needed)" >&2
  fi
fi
exit 0
