#!/usr/bin/env bash
# Installs what the checks need and this machine lacks. Programs built from source, at pinned versions, go to bin/ in
# the cache folder given as $1.
set -euo pipefail

cache=$1
mkdir -p "$cache/bin"
export PATH="$cache/bin:$PATH"

# program:package
wanted=(
  curl:curl
  g++:g++
  grpc_cpp_plugin:protobuf-compiler-grpc
  ip:iproute2
  make:make
  nghttp:nghttp2-client
  nsenter:util-linux
  pkg-config:pkg-config
  protoc:protobuf-compiler
  setpriv:util-linux
  shellcheck:shellcheck
  systemd-analyze:systemd
  unshare:util-linux
)
packages=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
# Libraries and modules have no program to look for.
pkg-config --exists grpc++ 2>/dev/null || packages+=(libgrpc++-dev)
# The header files, and the .proto files that ours imports; nothing above is sure to bring them.
pkg-config --exists protobuf 2>/dev/null || packages+=(libprotobuf-dev)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
if ((${#packages[@]} > 0)); then
  echo "apt: ${packages[*]}"
  as_root=()
  [[ $(id -u) == 0 ]] || as_root=(sudo -n)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq -y --no-install-recommends "${packages[@]}" \
    >/dev/null
fi

go_program() {
  local program=$1 module=$2
  command -v "$program" >/dev/null && return
  echo "go install $module"
  GOBIN="$cache/bin" go install "$module"
}
go_program helm helm.sh/helm/v3/cmd/helm@v3.22.0
go_program grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
go_program h2spec github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

echo "helm      $(helm version --short)"
echo "grpcurl   $(grpcurl --version 2>&1)"
echo "nghttp    $(nghttp --version)"
echo "go        $(go version)"
echo "node      $(node --version), before npm ci"
echo "npm       $(npm --version 2>/dev/null)"
