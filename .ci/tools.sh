#!/usr/bin/env bash
# Puts the real components that tests drive under .tools/, each at a pinned version. What cannot be had is said, and
# the tests that need it then skip with that reason (or fail, under LOADCAST_REQUIRE_ALL=1).
set -uo pipefail
cd "$(dirname "$0")/.."

GRPCURL_VERSION=v1.9.3
GHZ_VERSION=v0.120.0
PROMETHEUS_VERSION=2.42.0
PROTOC_GEN_GO_VERSION=v1.36.12
PROTOC_GEN_GO_GRPC_VERSION=v1.6.2
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c

mkdir -p .tools/bin
have() { [ "$(cat ".tools/$1.version" 2>/dev/null)" = "$2" ] && [ -x ".tools/bin/$1" ]; }

# go_tool NAME PACKAGE VERSION: built from the Go module proxy.
go_tool() {
  have "$1" "$3" && return
  if ! command -v go >/dev/null; then
    echo "tools: $1 needs Go, which is not installed" >&2
  elif GOBIN="$PWD/.tools/bin" go install -ldflags "-s -w" "$2@$3"; then
    echo "$3" >".tools/$1.version"
  else
    echo "tools: $1 $3 could not be built" >&2
  fi
}

go_tool grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl "$GRPCURL_VERSION"
# What makes a Go client of the .proto files.
go_tool protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go "$PROTOC_GEN_GO_VERSION"
go_tool protoc-gen-go-grpc google.golang.org/grpc/cmd/protoc-gen-go-grpc "$PROTOC_GEN_GO_GRPC_VERSION"
# For whoever measures from outside; benches/README.md has the commands.
go_tool ghz github.com/bojand/ghz/cmd/ghz "$GHZ_VERSION"
# Only run by tests, never linked: MinIO is under the AGPL.
go_tool minio github.com/minio/minio "$MINIO_VERSION"

# go_program NAME FOLDER: a Go module of this repository, built again when it changes.
go_program() {
  local stamp
  stamp="$(cat "$2"/go.mod "$2"/go.sum "$2"/*.go | sha256sum)"
  have "$1" "$stamp" && return
  if ! command -v go >/dev/null; then
    echo "tools: $1 needs Go, which is not installed" >&2
  elif (cd "$2" && go build -ldflags "-s -w" -o "$OLDPWD/.tools/bin/$1" .); then
    echo "$stamp" >".tools/$1.version"
  else
    echo "tools: $1 could not be built" >&2
  fi
}

go_program keda-stubs server/tests/keda/stubs
# KEDA's own client: some 4 GB of dependencies and ten minutes for the first time.
[ "${1:-}" = soak ] && go_program keda-client server/tests/keda/client

# Prometheus and promtool from Debian's package, unpacked without root. Debian adds revisions of its own to a version and
# keeps only the last of them, so upstream's version is what is pinned.
prometheus() {
  have prometheus "$PROMETHEUS_VERSION" && return
  local tools="$PWD/.tools" folder
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "tools: Prometheus needs apt-get and dpkg, which are not installed" >&2
    return
  fi
  folder="$(mktemp -d)"
  # With package lists of its own, where the machine's are empty: that takes no root either.
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  if (cd "$folder" && { apt-get download --quiet "prometheus=$PROMETHEUS_VERSION+*" 2>/dev/null || {
      own=(-o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache")
      apt-get "${own[@]}" --quiet update >/dev/null 2>&1
      apt-get "${own[@]}" download --quiet "prometheus=$PROMETHEUS_VERSION+*" 2>/dev/null
    }; } \
    && dpkg -x prometheus_*.deb unpacked \
    && cp unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$tools/bin/"); then
    echo "$PROMETHEUS_VERSION" >.tools/prometheus.version
  else
    echo "tools: Prometheus $PROMETHEUS_VERSION could not be had from apt" >&2
  fi
  rm -rf "$folder"
}
prometheus

# python_tool NAME REQUIREMENTS WHAT: a venv under .tools, once.
python_tool() {
  local stamp
  stamp="$(cat "$2")"
  [ "$(cat ".tools/$1.version" 2>/dev/null)" = "$stamp" ] && return
  rm -rf ".tools/$1"
  if ! command -v python3 >/dev/null; then
    echo "tools: $3 needs python3, which is not installed" >&2
  elif python3 -m venv ".tools/$1" && ".tools/$1/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$2"; then
    echo "$stamp" >".tools/$1.version"
  else
    rm -rf ".tools/$1"
    echo "tools: $3 could not be installed (Python 3.11 or later and PyPI are needed)" >&2
  fi
}

python_tool python-grpc .ci/python-grpc.txt "Python's gRPC"
# Some 0.9 GB each, and a minute or two.
python_tool python .ci/python.txt "Python's Prophet and MLflow 3"
python_tool python-mlflow2 .ci/python-mlflow2.txt "MLflow 2"
exit 0
