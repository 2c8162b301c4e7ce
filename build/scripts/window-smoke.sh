#!/usr/bin/env bash
# Opens the real window on a display of its own and waits until it shows a workspace.
#
# Nothing can drive a WebKitGTK window from outside, so the page itself reports what it
# has rendered, through the bound method App.Rendered; --window-test FILE makes the program
# write that to a file, as JSON.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

[ -x "$window_binary" ] || fail "There is no ${window_binary#"$project"/}: make build"
[ -x "$headless_binary" ] || fail "There is no ${headless_binary#"$project"/}: make build-headless"

home=$(mktemp -d "${TMPDIR:-/tmp}/lab-window.XXXXXX")
export HOME=$home XDG_CONFIG_HOME=$home/config XDG_STATE_HOME=$home/state \
	XDG_DATA_HOME=$home/data XDG_CACHE_HOME=$home/cache XDG_RUNTIME_DIR=$home/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
report=$home/rendered.json
name="Seen in the window"
server='' display=''

# stop PID: asks it to end and waits until it has.
stop() {
	[ -n "$1" ] || return 0
	kill -TERM "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

cleanup() {
	local code=$?
	if [ $code != 0 ]; then
		tail -n 50 "$home"/server.log "$home"/window.log "$report" 2>/dev/null || true
	fi
	# The program first: session bus and display end when it does, and clean up.
	if [ -n "$display" ]; then
		if [ -f "$home/window.pid" ]; then kill -TERM "$(cat "$home/window.pid")" 2>/dev/null || true; fi
		wait "$display" 2>/dev/null || true
	fi
	remove_workspace || true
	stop "$server"
	# WebKit's own processes end a moment after the window, and write their caches until then.
	local deadline=$((SECONDS + 10))
	until rm -rf "$home" 2>/dev/null; do
		[ $SECONDS -lt $deadline ] || fail "Somebody still writes to $home."
		sleep 0.1
	done
}
trap cleanup EXIT

# until_true SECONDS WHAT COMMAND…
until_true() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "Waited in vain: $what"
		sleep 0.1
	done
}

# ---- a workspace to be seen ----------------------------------------------------------
# Made by the same program without window, on the same state. It need not run.

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')

api() { # METHOD PATH [BODY]
	curl --silent --show-error --fail-with-body --max-time 30 --request "$1" \
		--header "Authorization: Bearer $(cat "$XDG_STATE_HOME/lab-workspace-manager/token")" \
		--header 'Content-Type: application/json' ${3:+--data "$3"} "http://127.0.0.1:$port/api$2"
}

serves() { curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$port/api/ping"; }

start_server() {
	PORT=$port "$headless_binary" --serve >>"$home/server.log" 2>&1 &
	server=$!
	until_true 30 "the server answers" serves
}

stop_server() {
	stop "$server"
	server=''
}

json() { node -p "JSON.parse(require('fs').readFileSync(0))$1"; }

workspace=''
remove_workspace() {
	[ -n "$workspace" ] || return 0
	[ -n "$server" ] || start_server
	api DELETE "/users/$owner/workspace/$workspace?delete_volumes=true" >/dev/null
	workspace=''
}

start_server
owner=$(api GET /users/me | json .id)
workspace=$(api POST "/users/$owner/workspace" "{\"display_name\": \"$name\", \"is_stopped\": true}" | json .id)
stop_server

# ---- the window ----------------------------------------------------------------------

# shellcheck disable=SC2016 # the inner shell expands them
xvfb-run --auto-servernum --server-args='-screen 0 1280x800x24' \
	dbus-run-session -- sh -c 'echo $$ >"$1"; exec "$2" --window-test "$3"' window \
	"$home/window.pid" "$window_binary" "$report" >"$home/window.log" 2>&1 &
display=$!

shows_workspace() {
	kill -0 "$display" 2>/dev/null || fail "The window closed by itself."
	[ -f "$report" ] && grep -q "\"name\": *\"$name\"" "$report"
}

until_true 60 "the window shows the workspace" shows_workspace
say "The window shows the workspace."

# ---- no window -----------------------------------------------------------------------

if env -u DISPLAY -u WAYLAND_DISPLAY XDG_STATE_HOME="$home/other" "$window_binary" >"$home/none.log" 2>&1; then
	fail "Without a display the window claims to have been open."
fi
grep -q 'Run the program with --serve' "$home/none.log" ||
	fail "Without a display the program does not say what to do: $(head -n 3 "$home/none.log")"
