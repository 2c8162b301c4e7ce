#!/usr/bin/env bash
# Builds the default workspace image, as the program does at a first start.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

check_toolchains
ensure_docker "$@"
build_frontend
build_headless_binary "$headless_binary"
build_workspace_image "$headless_binary"
