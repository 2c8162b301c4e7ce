#!/usr/bin/env bash
# make run: from a clone to a workspace. Installs, starts and builds what is missing,
# then opens the window, or serves where there is no display.
# Arguments are passed on to the program.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

# Ctrl-C reaches this shell only: what it has put into the background ignores it.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

check_toolchains
ensure_docker "$@"

has_display() { [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }

# The window is nicer, the browser works as well: what cannot be had is no reason to stop.
window=''
if [ "$(uname)" = Linux ] && has_display; then
	if has_window_libraries || { has apt-get && { refresh_package_lists && apt-cache show libwebkit2gtk-4.1-dev; } >/dev/null 2>&1; }; then
		install_window_libraries
		window=yes
	else
		say "This system has no WebKitGTK 4.1 for the window, so it will be a page in your browser."
	fi
fi

if [ -n "$window" ]; then
	binary=$window_binary
	build_binary() { build_window_binary "$1"; }
else
	binary=$headless_binary
	build_binary() { build_headless_binary "$1"; }
fi

if workspace_image_exists; then
	build_frontend
	say "Building the program."
	build_binary "$binary"
else
	# A first run. The image is built by the program and the program contains the pages,
	# so build one without pages first; then the image and the pages at the same time.
	# What is compiled here is not compiled again below.
	say "Compiling the program, and fetching what the pages are made of."
	install_frontend_packages &
	fetching=$!
	image_builder=$project/build/bin/.image-builder
	build_binary "$image_builder"
	wait "$fetching" || fail "npm could not fetch what the pages are made of, see above."

	build_frontend >build/bin/frontend.log 2>&1 &
	frontend=$!
	say "Building the default workspace image: it is missing."
	build_workspace_image "$image_builder"
	wait "$frontend" || { cat build/bin/frontend.log >&2; fail "The pages could not be built, see above."; }
	rm -f "$image_builder" build/bin/frontend.log
	build_binary "$binary"
fi

if [ -n "$docker_stop_command" ]; then
	sudo=''
	[ "$(id -u)" = 0 ] || sudo='sudo '
	say "Docker was started for you and stays up, workspaces live in it. To stop it: $sudo$docker_stop_command"
fi
if [ -n "$window" ]; then
	exec "$binary" "$@"
fi
exec "$binary" --serve "$@"
