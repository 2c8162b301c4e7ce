#!/usr/bin/env bash
# Builds the image that ML Lab installs as an extension: this program, as lab-workspace-manager:latest.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

check_toolchains
ensure_docker "$@"
build_frontend
# For Linux also where this is none.
GOOS=linux build_headless_binary "$project/build/bin/.extension"
build_extension_image "$project/build/bin/.extension"
say "Built $extension_image, $(($(docker image inspect --format '{{.Size}}' "$extension_image") / 1000000)) MB."
