#!/usr/bin/env bash
# build.sh window | headless: builds the pages and one of the two programs.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

check_toolchains
case ${1:-window} in
window)
	[ "$(uname)" != Linux ] || install_window_libraries
	build_frontend
	build_window_binary "$window_binary"
	say "Built ${window_binary#"$project"/}"
	;;
headless)
	build_frontend
	build_headless_binary "$headless_binary"
	say "Built ${headless_binary#"$project"/}"
	;;
*) fail "build.sh builds \"window\" or \"headless\", not \"$1\"." ;;
esac
