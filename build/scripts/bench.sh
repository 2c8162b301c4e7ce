#!/usr/bin/env bash
# make bench: measures what the README promises, prints the table. The measuring
# program gets the paths of what it measures; its arguments are passed on.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

check_toolchains
ensure_docker "$@"
build_frontend
build_headless_binary "$headless_binary"
workspace_image_exists || build_workspace_image "$headless_binary"
extension=lab-bench-extension:latest
build_extension_image "$headless_binary" "$extension"
LAB_BINARY=$headless_binary LAB_EXTENSION_IMAGE=$extension exec go run ./build/bench "$@"
