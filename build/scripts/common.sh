# shellcheck shell=bash disable=SC2034
# What the scripts in this folder share: telling people what happens, installing what
# is missing, Docker, and building. Sourced, never run:
#
#   . "$(dirname "$0")/common.sh"
#
# It changes to the top folder of the project. Nothing is installed without a sentence
# that says what and why, and nothing that is already there.

set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
project=$PWD

# `make run` and `make test` use these two, and scripts of users do: the names stay.
window_binary=$project/build/bin/lab-workspace-manager
headless_binary=$project/build/bin/lab-workspace-manager-headless
workspace_image=lab-workspace-minimal:latest
# This program, as ML Lab runs it.
extension_image=lab-workspace-manager:latest
# What images are built upon: where a registry answers, and where none does.
public_base_image=debian:bookworm-slim
own_base_image=lab-workspace-base:bookworm

# The same flags everywhere, so that all builds share what the compiler has cached.
# The version is ours (see program_version): stamping by Go would relink at every commit.
export GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false"
export npm_config_update_notifier=false

# ---- telling people what happens ------------------------------------------------

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }

fail() {
	printf '%s%s%s\n' "$bold" "$*" "$plain" >&2
	exit 1
}

# Asks a yes-or-no question; where nobody can answer, the answer is no.
agrees() {
	[ -t 0 ] && [ -t 1 ] || return 1
	local answer
	read -r -p "$* [Y/n] " answer
	[[ ! $answer =~ ^[Nn] ]]
}

has() { command -v "$1" >/dev/null 2>&1; }

# ---- installing what is missing -------------------------------------------------

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif has sudo; then
		sudo "$@"
	else
		fail "This needs root, and there is no sudo here: $*"
	fi
}

package_lists_fresh=''

refresh_package_lists() {
	[ -z "$package_lists_fresh" ] || return 0
	# One broken source of somebody else must not stop us; what is missing then, the
	# installation itself will say.
	as_root apt-get -q -q update || true
	package_lists_fresh=yes
}

# install_packages WHY PACKAGE…
install_packages() {
	local why=$1 package missing=()
	shift
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	has apt-get || fail "Please install ${missing[*]} or what your system calls them: $why."
	say "Installing ${missing[*]}: $why."
	refresh_package_lists
	local output
	output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 install "${missing[@]}" 2>&1 </dev/null) ||
		fail "$output"$'\n'"They could not be installed, apt-get says why above."
}

# needs_command COMMAND PACKAGE WHY: the package, unless the command came otherwise.
needs_command() {
	has "$1" || install_packages "$3" "$2"
}

# Version managers put links before the real programs; only running them tells.
check_toolchains() {
	go version >/dev/null 2>&1 || fail "Go 1.26 or newer is needed to build the program."
	npm --version >/dev/null 2>&1 || fail "Node.js 20 or newer with npm is needed to build the pages."
	local node
	node=$(node -p 'parseInt(process.versions.node)')
	[ "$node" -ge 20 ] || fail "Node.js 20 or newer is needed to build the pages; this is $node."
}

has_window_libraries() {
	has gcc && has pkg-config && pkg-config --exists gtk+-3.0 webkit2gtk-4.1
}

install_window_libraries() {
	has_window_libraries || install_packages "the window is made of GTK and WebKit" \
		gcc libc6-dev pkg-config libgtk-3-dev libwebkit2gtk-4.1-dev
}

# ---- Docker ---------------------------------------------------------------------

docker_answers() {
	has docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# The socket is there, but not for us.
docker_refuses_us() {
	has docker && [[ $(docker version 2>&1) == *'permission denied'* ]]
}

# How to stop the Docker that we started; empty as long as we started none. It may have
# been this script before it joined the group docker that started it.
docker_stop_command=${LAB_DOCKER_STOP_COMMAND:-}

# wait_for_docker SECONDS [PID]: until it answers, or this process of it has ended.
wait_for_docker() {
	local deadline=$((SECONDS + $1))
	until as_root docker version >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		[ -z "${2:-}" ] || [ -d "/proc/$2" ] || return 1
		sleep 0.2
	done
}

start_docker() {
	if [ -d /run/systemd/system ]; then
		say "Starting Docker: it is installed and stopped."
		as_root systemctl start docker
		docker_stop_command='systemctl stop docker.socket docker'
		wait_for_docker 60 || fail "Docker does not answer. It says why: journalctl -u docker"
		return
	fi
	local log=/var/log/dockerd.log pid
	say "Starting Docker: it is installed and stopped, and there is no systemd to start it. Its log is $log."
	# In a session of its own, so that it outlives this terminal.
	pid=$(as_root sh -c "setsid dockerd >>$log 2>&1 </dev/null & echo \$!")
	docker_stop_command="kill $pid"
	wait_for_docker 60 "$pid" || fail "$(as_root tail -n 1 "$log")"$'\n'"Docker did not start, its log says why: $log"
}

install_docker() {
	local packages=(docker.io)
	refresh_package_lists
	# Debian 13 has the client in a package of its own.
	! apt-cache show docker-cli >/dev/null 2>&1 || has docker || packages+=(docker-cli)
	install_packages "workspaces are containers, and there is no Docker engine here" "${packages[@]}"
	# The package starts it where it can.
	wait_for_docker 5 || start_docker
}

# Lets a user who is not root talk to Docker, now and later.
join_docker_group() {
	local user
	user=$(id -un)
	if ! getent group docker | cut -d: -f4 | tr , '\n' | grep -qx "$user"; then
		say "Docker runs, but only root and members of the group docker may use it, and $user is not one of them."
		say "Whoever is in that group can become root on this machine; on a personal machine that is usual."
		agrees "Add $user to it (sudo usermod -aG docker $user)?" ||
			fail "Then do this and try again: sudo usermod -aG docker $user"
		as_root usermod -aG docker "$user"
	fi
	[ -z "${LAB_IN_DOCKER_GROUP:-}" ] || fail "Docker still refuses $user: $(docker version 2>&1 | tail -n 1)"
	say "Going on as a member of the group docker. Terminals opened before your next login do not know of it yet."
	export LAB_IN_DOCKER_GROUP=yes LAB_DOCKER_STOP_COMMAND=$docker_stop_command
	exec sg docker -c "exec $(printf '%q ' "$script" "$@")"
}

# ensure_docker "$@": Docker answers us afterwards. The arguments are those of the
# script, which may be started anew with the rights of the group docker.
ensure_docker() {
	! docker_answers || return 0
	if [ "$(uname)" != Linux ]; then
		fail "Docker does not answer. Please start Docker Desktop (or whichever engine you use) and try again."
	fi
	if [ -n "${DOCKER_HOST:-}" ]; then
		fail "Docker does not answer at DOCKER_HOST=$DOCKER_HOST. Please start it there, or unset DOCKER_HOST to use the one of this machine."
	fi
	! docker_refuses_us || join_docker_group "$@"
	# The client alone is no engine: it is often there to use another machine's.
	if PATH=$PATH:/usr/sbin:/sbin has dockerd; then
		start_docker
	else
		install_docker
	fi
	! docker_refuses_us || join_docker_group "$@"
	docker_answers || fail "Docker runs but does not answer: $(docker version 2>&1 | tail -n 1)"
}

workspace_image_exists() { docker image inspect "$workspace_image" >/dev/null 2>&1; }

base_image_exists() {
	docker image inspect "$public_base_image" >/dev/null 2>&1 || docker image inspect "$own_base_image" >/dev/null 2>&1
}

# Images are built upon a Debian. Where no registry answers, that Debian is made by
# debootstrap, which needs root: the program cannot ask for a password.
ensure_base_image() {
	! base_image_exists || return 0
	# Elsewhere Docker runs in a virtual machine of its own, where we cannot be root.
	[ "$(uname)" = Linux ] || return 0
	say "Asking the registry for $public_base_image."
	! timeout 90 docker pull --quiet "$public_base_image" >/dev/null 2>&1 || return 0
	needs_command debootstrap debootstrap "no image registry answers, and it makes the Debian that images are built upon"
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		install_packages "debootstrap checks the signatures of Debian with it" debian-archive-keyring
	# As root the program makes it itself.
	[ "$(id -u)" = 0 ] || make_base_image
}

make_base_image() {
	say "Making $own_base_image with debootstrap, as root (half a minute)."
	local tar
	tar=$(mktemp)
	as_root sh build/images/debian-base.sh >"$tar" || { rm -f "$tar" && return 1; }
	docker import --change 'CMD ["bash"]' "$tar" "$own_base_image" >/dev/null
	rm -f "$tar"
}

# build_workspace_image BINARY
build_workspace_image() {
	ensure_base_image
	"$1" images build workspace-minimal
}

# The authorities that the extension trusts: those of a file that LAB_CA_FILE names, else those that Debian
# calls public. Not the host's own bundle: what a company has added there is nobody else's to trust.
print_authorities() {
	if [ -n "${LAB_CA_FILE:-}" ]; then
		cat "$LAB_CA_FILE"
	else
		cat /usr/share/ca-certificates/mozilla/*.crt 2>/dev/null || true
	fi
}

# build_extension_image BINARY [TAG]: the binary must be for Linux, and static.
build_extension_image() {
	local context
	context=$(mktemp -d)
	mkdir -p "$context"/root/etc/ssl/certs "$context"/root/tmp "$context"/data
	cp build/container/Dockerfile "$context"
	cp "$1" "$context/root/lab-workspace-manager"
	print_authorities >"$context/root/etc/ssl/certs/ca-certificates.crt"
	chmod -R u=rwX,go=rX "$context/root"
	chmod 1777 "$context/root/tmp"
	chmod 700 "$context/data"
	# The classic builder: Debian's Docker has no other.
	if ! DOCKER_BUILDKIT=0 docker build --quiet --build-arg VERSION="$(program_version)" \
		--build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
		--tag "${2:-$extension_image}" "$context" >"$context/log" 2>&1; then
		cat "$context/log" >&2
		fail "The extension image could not be built, see above."
	fi
	rm -rf "$context"
}

# ---- programs that only tests use -----------------------------------------------

tools=$project/build/bin/tools

# install_tool NAME MODULE@VERSION: from source, once for each version.
install_tool() {
	local stamp=$tools/.$1
	if [ -x "$tools/$1" ] && is_fresh "$stamp" "$2"; then return 0; fi
	say "Building $1 (some minutes, the first time)."
	GOBIN=$tools go install "$2"
	echo "$2" >"$stamp"
}

# The Helm chart is rendered by the one, and checked against the schemas of Kubernetes by the other.
install_chart_tools() {
	install_tool helm helm.sh/helm/v3/cmd/helm@v3.19.5
	install_tool kubectl-validate sigs.k8s.io/kubectl-validate@v0.0.4
}

# ---- building -------------------------------------------------------------------

checksum=(sha256sum)
has sha256sum || checksum=(shasum -a 256) # macOS

# hash_of FILE-OR-FOLDER…: changes when a file is added, removed or changed.
hash_of() {
	find "$@" -type f -print0 | sort -z | xargs -0 "${checksum[@]}" | "${checksum[@]}" | cut -d' ' -f1
}

# is_fresh STAMP HASH: whether the stamp was written for this very state.
is_fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

install_frontend_packages() {
	local stamp=frontend/node_modules/.lab-installed now
	now=$(hash_of frontend/package.json frontend/package-lock.json)-$(node --version)
	! is_fresh "$stamp" "$now" || return 0
	say "Fetching what the pages are made of (npm ci)."
	npm --prefix frontend ci --no-audit --no-fund --loglevel=error
	echo "$now" >"$stamp"
}

# Everything in frontend/ that is neither fetched nor made.
frontend_sources_hash() {
	find frontend \( -path frontend/node_modules -o -path frontend/dist -o -path frontend/e2e \
		-o -name test-results -o -name playwright-report -o -name '*.tsbuildinfo' \) -prune \
		-o -type f -print0 | sort -z | xargs -0 "${checksum[@]}" | "${checksum[@]}" | cut -d' ' -f1
}

build_frontend() {
	local stamp=build/bin/.frontend-built now
	install_frontend_packages
	now=$(frontend_sources_hash)
	[ ! -f frontend/dist/index.html ] || ! is_fresh "$stamp" "$now" || return 0
	say "Building the pages."
	npm --prefix frontend run --silent build
	[ -f frontend/dist/index.html ] || fail "The build of the pages left no frontend/dist/index.html."
	mkdir -p build/bin
	echo "$now" >"$stamp"
}

program_version() { git describe --tags --always --dirty 2>/dev/null || echo unknown; }

# build_…_binary FILE. The window needs cgo; everything else works without, as one static file.
build_window_binary() {
	CGO_ENABLED=1 go build -tags desktop,production,webkit2_41 \
		-ldflags "-s -w -X main.version=$(program_version)" -o "$1" .
}

build_headless_binary() {
	CGO_ENABLED=0 go build \
		-ldflags "-s -w -X main.version=$(program_version)" -o "$1" .
}
