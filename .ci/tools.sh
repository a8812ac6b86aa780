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
exit 0
