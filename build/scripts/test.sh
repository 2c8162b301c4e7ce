#!/usr/bin/env bash
# make test: everything the pipeline checks, on a bare machine. It installs and starts
# what is missing, and ends what it has started. Each stage writes a log, which is shown
# if the stage fails. test.sh NAME… runs only these stages (test.sh --list names them).
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

# ---- the stages -------------------------------------------------------------------
# Each runs as a process of its own (test.sh --stage NAME), so that it can be ended with
# all it has started. A stage whose subject does not exist fails: nothing is passed over.

stages=(scripts frontend-build dependencies go-lint frontend-lint frontend-test binaries
	other-systems chart-tools image lab-image go-test e2e window)

stage_scripts() { build/scripts/lint.sh scripts; }

stage_frontend-build() { build_frontend; }

# Compiling what we depend on takes minutes on a new machine and touches none of our own
# files, so it runs while the pages are built. Everything later finds it in the cache.
stage_dependencies() {
	local packages
	mapfile -t packages < <(go list -deps -f '{{if .Module}}{{if not .Module.Main}}{{.ImportPath}}{{end}}{{end}}' ./...)
	[ ${#packages[@]} -gt 0 ] || fail "Go knows no dependencies of this project."
	go build "${packages[@]}"
	go build -race "${packages[@]}"
}

stage_go-lint() { build/scripts/lint.sh go; }

stage_frontend-lint() { build/scripts/lint.sh frontend; }

stage_frontend-test() { npm --prefix frontend test; }

stage_binaries() {
	build_headless_binary "$headless_binary"
	build_window_binary "$window_binary"
	if ldd "$headless_binary" 2>/dev/null; then fail "The headless program is not static."; fi
}

# It must compile where it cannot be tried here: the window on Windows needs no cgo, the
# one on macOS needs a Mac.
stage_other-systems() {
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -tags desktop,production -o /dev/null .
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -o /dev/null .
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build -o /dev/null .
}

# Through the program, not through the docker command: this is what users get. An image that this very version has built
# is not built again; VS Code takes minutes.
stage_image() {
	build_workspace_image "$headless_binary"
	"$headless_binary" images build workspace-vscode
	build_extension_image "$headless_binary"
}

stage_chart-tools() { install_chart_tools; }

# The ML Lab that tests bring up.
stage_lab-image() { build/scripts/lab.sh image; }

# -count=1: a result from the cache says nothing about this Docker. Tests that run the
# whole program run one that ends, and so fails them, at the first data race. Packages take turns at having an ML Lab, and
# the time that one waits counts as its own.
stage_go-test() {
	local program=$project/build/bin/.with-race-detector
	CGO_ENABLED=1 go build -race -o "$program" .
	LAB_TEST_DOCKER=1 LAB_TEST_TOOLS=$tools LAB_TEST_PROGRAM=$program GORACE=halt_on_error=1 \
		go test -race -count=1 -timeout 45m -v ./...
}

# The tests start the program themselves and drive Debian's Chromium. One of them brings up an ML Lab, with this very
# program in it.
stage_e2e() {
	local image=lab-test-extension:latest
	build_extension_image "$headless_binary" "$image"
	LAB_BINARY=$headless_binary LAB_EXTENSION_IMAGE=$image CHROMIUM=$(command -v chromium) npm --prefix frontend run e2e
}

stage_window() { build/scripts/window-smoke.sh; }

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${stages[@]}"
	exit
fi
if [ "${1:-}" = --stage ]; then
	"stage_$2"
	exit
fi

# ---- running them -----------------------------------------------------------------

wanted=("$@")
for name in "${wanted[@]}"; do
	[[ " ${stages[*]} " == *" $name "* ]] || fail "There is no stage \"$name\", only: ${stages[*]}"
done

is_wanted() { [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]; }

logs=$(mktemp -d "${TMPDIR:-/tmp}/lab-test.XXXXXX")
# What tests create in Docker carries this as the label lab.test-run.
LAB_TEST_RUN=$(basename "$logs")
export LAB_TEST_RUN

declare -A session started
summary=() failed=()

start() { # NAME
	is_wanted "$1" || return 0
	started[$1]=$SECONDS
	# A session of its own: whatever the stage starts can be found and ended.
	# shellcheck disable=SC2016 # the inner shell expands them
	setsid bash -c '"$0" --stage "$1"; code=$?; echo "$EPOCHSECONDS $code" >"$2"' \
		"$script" "$1" "$logs/$1.result" >"$logs/$1.log" 2>&1 </dev/null &
	session[$1]=$!
}

# Ends what a stage has left running. Browsers and servers get a moment to end themselves.
end_session() { # NAME
	local id=${session[$1]} deadline=$((SECONDS + 5))
	while ps -o pid= -s "$id" >/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
	if ps -o pid=,args= -s "$id" >"$logs/$1.left"; then
		say "  $1 left these running, they are ended now:"
		cut -c1-120 "$logs/$1.left"
		ps -o pid= -s "$id" | xargs -r kill -KILL 2>/dev/null || true
	fi
	unset "session[$1]"
}

finish() { # NAME
	is_wanted "$1" || return 0
	local name=$1 ended code seconds
	wait "${session[$name]}" || true
	read -r ended code <"$logs/$name.result" || { ended=$EPOCHSECONDS code=1; }
	seconds=$((ended - (EPOCHSECONDS - SECONDS) - started[$name]))
	[ "$seconds" -ge 0 ] || seconds=0
	if [ "$code" = 0 ]; then
		summary+=("$(printf '  %-16s %5d s  ok' "$name" "$seconds")")
		say "ok      $name ($seconds s)"
	else
		summary+=("$(printf '  %-16s %5d s  FAILED' "$name" "$seconds")")
		failed+=("$name")
		say "FAILED  $name ($seconds s), its last words:"
		show_log "$name"
	fi
	end_session "$name"
}

stage() { # NAME
	start "$1"
	finish "$1"
}

# A stage without which the following make no sense.
needed() { # NAME
	stage "$1"
	[[ " ${failed[*]} " != *" $1 "* ]] || exit 1
}

show_log() { # NAME
	local log=$logs/$1.log
	if [ "$1" = go-test ]; then
		# Of the verbose output, the packages that failed.
		awk '{ part = part $0 "\n" }
			/^(ok|FAIL|\?)[ \t]+[a-z]/ { if (/^FAIL/) printf "%s", part; part = "" }
			END { printf "%s", part }' "$log" | tail -n 400 | sed 's/^/    /'
	else
		tail -n 200 "$log" | sed 's/^/    /'
	fi
}

# ---- Docker: what was there before stays, what we add goes --------------------------

own_docker=''

# Ids of all containers, volumes and networks, each with the command that removes it.
docker_things() { # FILTER…
	docker ps --all --quiet --no-trunc "$@" | sed 's/^/rm --force --volumes /'
	docker volume ls --quiet "$@" | sed 's/^/volume rm --force /'
	docker network ls --quiet --no-trunc "$@" | sed 's/^/network rm /'
}

# What an ML Lab has made for a test carries the lab's label, not ours.
things_of_test_run() {
	local ours=label=lab.test-run=$LAB_TEST_RUN namespace
	docker_things --filter "$ours"
	for namespace in $(docker ps --all --filter "$ours" --format '{{.Label "ctxy.namespace"}}' | sort --unique); do
		docker_things --filter "label=ctxy.namespace=$namespace"
	done
}

remove_leftovers() {
	local left
	if [ -n "$own_docker" ]; then
		# Nobody else uses it, so everything new is ours.
		left=$(comm -13 "$logs/docker-before" <(docker_things | sort))
	else
		left=$(things_of_test_run | sort --unique)
	fi
	[ -n "$left" ] || return 0
	say "Tests have left these in Docker, they are removed now:"
	printf '%s\n' "$left"
	failed+=(leftovers)
	# Containers first, they hold the volumes and networks.
	printf '%s\n' "$left" | grep '^rm ' | xargs -r -L1 docker >/dev/null || true
	printf '%s\n' "$left" | grep -v '^rm ' | xargs -r -L1 docker >/dev/null || true
}

cleanup() {
	local code=$? name
	trap - EXIT
	trap '' INT TERM
	for name in "${!session[@]}"; do
		ps -o pid= -s "${session[$name]}" | xargs -r kill -TERM 2>/dev/null || true
		end_session "$name"
	done
	if [ -f "$logs/docker-before" ] && docker_answers; then remove_leftovers; fi
	if [ -n "$own_docker" ]; then
		say "Stopping the Docker that was started for the tests."
		as_root sh -c "$docker_stop_command" || true
		while docker_answers; do sleep 0.2; done
	fi

	echo
	say "Summary"
	[ ${#summary[@]} = 0 ] || printf '%s\n' "${summary[@]}"
	printf '  %-16s %5d s\n' "in total" "$SECONDS"
	skipped
	if [ ${#failed[@]} -gt 0 ] || [ $code != 0 ]; then
		say "FAILED: ${failed[*]:-it was stopped before its end}. Logs are in $logs"
		exit 1
	fi
	rm -rf "$logs"
	say "All is well."
	exit 0
}

# Says what was not tried, by the words of the test programs themselves.
skipped() {
	local tests name missing=()
	tests=$({
		sed -n 's/^ *--- SKIP: \([^ ]*\).*/\1/p' "$logs/go-test.log"
		sed -n 's/.*[^0-9]\([0-9][0-9]* skipped\).*/frontend tests: \1/p' "$logs/frontend-test.log"
		sed -n 's/^ *\([0-9][0-9]* skipped\).*/e2e tests: \1/p' "$logs/e2e.log"
	} 2>/dev/null) || true # a stage that has not run has left no log
	for name in "${stages[@]}"; do
		[ -f "$logs/$name.result" ] || missing+=("$name")
	done
	echo "  skipped stages:  ${missing[*]:-none}"
	echo "  skipped tests:   ${tests:-none}" | sed '2,$s/^/                   /'
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what the machine needs ---------------------------------------------------------

check_toolchains
needs_command setsid util-linux "stages run in sessions of their own"
needs_command ps procps "what a stage leaves running is found with it"
needs_command curl curl "the tests ask the server with it"
needs_command ip iproute2 "a second Docker, which the tests stop and start, gets a bridge of its own"
needs_command mkfs.btrfs btrfs-progs "a second Docker keeps its data on a disk that holds containers to sizes"
needs_command shellcheck shellcheck "it finds the mistakes that shells forgive"
needs_command debootstrap debootstrap "it makes the Debian below the workspace image where no registry answers"
needs_command docker-compose docker-compose "the compose file for ML Lab is tried with it"
needs_command docker-registry docker-registry "pulling images is tested with a registry of our own"
needs_command chromium chromium "the pages are tested in a real browser"
needs_command Xvfb xvfb "the window is tested on a display of its own"
needs_command xvfb-run xvfb "the window is tested on a display of its own"
needs_command xauth xauth "xvfb-run needs it"
needs_command dbus-run-session dbus "GTK talks to a session bus"
install_packages "pip and npm trust what the host trusts, so it must trust somebody" ca-certificates
install_window_libraries

if ! docker_answers; then
	ensure_docker "$@"
fi
own_docker=$docker_stop_command
docker_things | sort >"$logs/docker-before"

# ---- the order ----------------------------------------------------------------------
# Two cores are well used by two lanes: Go compiles on all it can get, npm mostly waits.

stage scripts
start dependencies
needed frontend-build
finish dependencies

start frontend-lint
stage go-lint
finish frontend-lint

start frontend-test
needed binaries
finish frontend-test

start other-systems
needed image
finish other-systems
start chart-tools
needed lab-image
finish chart-tools

# Alone: they measure deadlines.
stage go-test
stage e2e
stage window
