#!/usr/bin/env bash
# lab.sh [up | down | restart-backend | image]: a real ML Lab in Docker, for tests and for people
# who want to look (make lab, make lab-down). It is made of three containers of one image (build/lab):
#
#   $LAB_NAME-backend    nginx and contaxy, as ML Lab's own container; the only one with a port
#   $LAB_NAME-postgres   its database
#   $LAB_NAME-s3         its store of files, in memory
#
# "up" starts what is not running and sees to the users below; "restart-backend" makes the backend
# anew from the environment, with its database as it is; "down" takes all of the lab away, with what
# users have made in it, but for the image. Variables, each of which a running lab keeps:
LAB_NAME=${LAB_NAME:-ml-lab}
# Begins the names of what the lab makes, and tells its things from another lab's.
LAB_NAMESPACE=${LAB_NAMESPACE:-pylab}
# On 127.0.0.1 only; 0: any that is free.
LAB_PORT=${LAB_PORT:-30010}
# And of contaxy's own, handed on: CONTAXY_BASE_URL (a path the lab is served below, like /lab),
# SERVICE_IDLE_CHECK_INTERVAL (seconds), JWT_TOKEN_SECRET.
#
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

lab_image="lab-test-mllab:latest"
backend=$LAB_NAME-backend
database=$LAB_NAME-postgres
storage=$LAB_NAME-s3
base_path=${CONTAXY_BASE_URL:-}
base_path=${base_path%/}
people=(ada bob)
password=password

# It is part of a container's name, and of a schema's in the database.
[[ $LAB_NAMESPACE =~ ^[a-z][a-z0-9]{1,14}$ ]] ||
	fail "LAB_NAMESPACE is \"$LAB_NAMESPACE\"; it must be 2 to 15 lower-case letters and digits, a letter first."

# ---- the image ------------------------------------------------------------------

build_image() {
	local now base=$public_base_image context
	now=$(hash_of build/lab)
	[ "$(docker image inspect --format '{{index .Config.Labels "lab.context"}}' "$lab_image" 2>/dev/null)" != "$now" ] || return 0
	ensure_base_image
	base_image_exists || make_base_image
	docker image inspect "$base" >/dev/null 2>&1 || base=$own_base_image
	say "Building $lab_image: a real ML Lab (some minutes, the first time)."
	context=$(mktemp -d)
	cp build/lab/* "$context"
	cat "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" >"$context/host-ca.crt" 2>/dev/null || true
	# The classic builder: Debian's Docker has no other.
	if ! DOCKER_BUILDKIT=0 docker build --build-arg BASE="$base" --build-arg HTTP_PROXY --build-arg HTTPS_PROXY \
		--build-arg NO_PROXY --label "lab.context=$now" --tag "$lab_image" "$context" >"$context/log" 2>&1; then
		tail -n 40 "$context/log" >&2
		fail "The image could not be built, its last words are above; all of them: $context/log"
	fi
	rm -rf "$context"
}

# ---- containers -------------------------------------------------------------------

exists() { docker container inspect "$1" >/dev/null 2>&1; }

is_running() { [ "$(docker container inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

# The mark by which what a test run has left behind is found.
test_run() { [ -z "${LAB_TEST_RUN:-}" ] || echo "--label=lab.test-run=$LAB_TEST_RUN"; }

# run NAME ROLE OPTION…: a container, unless it is there.
run() {
	local name=$1 role=$2 marks
	shift 2
	if exists "$name"; then
		docker start "$name" >/dev/null
		return
	fi
	mapfile -t marks < <(test_run)
	docker run --detach --name "$name" --network "$LAB_NAME" --label "ctxy.namespace=$LAB_NAMESPACE" "${marks[@]}" "$@" "$lab_image" "$role" >/dev/null
}

# The backend gives a project's network what follows the highest /24 of Docker's in 10.0.0.0/8, and
# fails when something smaller is the highest: the networks of our own Docker engine are. So the
# lab's own network is above them, and the backend goes on from there.
ensure_network() {
	local subnet marks
	! docker network inspect "$LAB_NAME" >/dev/null 2>&1 || return 0
	mapfile -t marks < <(test_run)
	for _ in 1 2 3; do
		subnet=$({ docker network ls --quiet | xargs docker network inspect --format '{{range .IPAM.Config}}{{println .Subnet}}{{end}}' || true; } |
			awk -F. '$1 == 10 && $2 == 254 && $3 >= next_one { next_one = $3 + 1 } END { print "10.254." next_one + 0 ".0/24" }')
		# Another lab may be coming up, and take it first.
		! docker network create --subnet "$subnet" "${marks[@]}" "$LAB_NAME" >/dev/null || return 0
	done
	fail "Docker gives the lab no network, it says why above."
}

is_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
	local port
	until port=$((20000 + RANDOM % 10000)) && ! is_taken "$port"; do :; done
	echo "$port"
}

run_backend() {
	local socket=/var/run/docker.sock
	[[ ${DOCKER_HOST:-} != unix://* ]] || socket=${DOCKER_HOST#unix://}
	# It finds itself by its host name, which so must be the one that Docker gives it. In the networks
	# of projects it is known by its name alone.
	run "$backend" backend \
		--publish "127.0.0.1:$LAB_PORT:8080" --volume "$socket:/var/run/docker.sock" \
		--env IS_CONTAXY_CONTAINER=true \
		--env SYSTEM_NAMESPACE="$LAB_NAMESPACE" \
		--env CONTAXY_HOST="localhost:$LAB_PORT" \
		--env CONTAXY_BASE_URL="$base_path" \
		--env CONTAXY_API_ENDPOINT="http://$backend:8080$base_path/api" \
		--env BACKEND_CORS_ORIGINS="http://localhost:$LAB_PORT" \
		--env JWT_TOKEN_SECRET="${JWT_TOKEN_SECRET:-please-change-this-secret}" \
		--env JWT_TOKEN_EXPIRY_MINUTES=15 \
		--env SERVICE_IDLE_CHECK_INTERVAL="${SERVICE_IDLE_CHECK_INTERVAL:-1200}" \
		--env USER_REGISTRATION_ENABLED=True \
		--env POSTGRES_CONNECTION_URI="postgresql://postgres:postgres@$database:5432/postgres" \
		--env S3_ENDPOINT="$storage:9000" --env S3_ACCESS_KEY=lab --env S3_SECRET_KEY=lab-secret --env S3_SECURE=False
}

# ---- asking the lab -----------------------------------------------------------------

# setting NAME: a variable of the backend's container, which may be of another day than ours.
setting() {
	docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$backend" | sed -n "s/^$1=//p"
}

# Port and path are those of the running lab from here on.
read_address() {
	LAB_PORT=$(docker container inspect --format '{{(index (index .HostConfig.PortBindings "8080/tcp") 0).HostPort}}' "$backend")
	base_path=$(setting CONTAXY_BASE_URL)
	lab=http://127.0.0.1:$LAB_PORT$base_path
}

# ask METHOD PATH CURL-OPTION…: prints the answer, then its status in a line of its own.
ask() {
	local method=$1 path=$2
	shift 2
	curl --silent --noproxy '*' --max-time 60 --request "$method" --write-out '\n%{http_code}' "$@" "$lab/api$path" || true
}

status_of() { ask "$@" | tail -n 1; }

login() { # USER PASSWORD
	ask POST /auth/oauth/token --data-urlencode grant_type=password --data-urlencode "username=$1" --data-urlencode "password=$2"
}

wait_for_backend() {
	local deadline=$((SECONDS + 120))
	until [ "$(status_of GET /system/info)" = 200 ]; do
		is_running "$backend" || fail "$(docker logs --tail 20 "$backend" 2>&1)"$'\n'"The backend of the lab has ended, its last words are above."
		[ $SECONDS -lt $deadline ] || fail "$(docker logs --tail 20 "$backend" 2>&1)"$'\n'"The lab does not answer at $lab, the last words of its backend are above."
		sleep 0.2
	done
}

see_to_users() {
	local status name
	status=$(status_of POST /system/initialize)
	case $status in
	204 | 409) ;; # 409: it was before
	*) fail "The lab answered $status when it was to be initialised." ;;
	esac
	for name in "${people[@]}"; do
		[ "$(login "$name" "$password" | tail -n 1)" != 200 ] || continue
		status=$(status_of POST /users --header 'Content-Type: application/json' \
			--data "{\"username\":\"$name\",\"email\":\"$name@example.org\",\"password\":\"$password\"}")
		[ "$status" = 200 ] || fail "The lab answered $status when it was to have a user $name."
	done
}

tell() {
	local other=''
	[ "$LAB_NAME $LAB_NAMESPACE" = 'ml-lab pylab' ] || other="LAB_NAME=$LAB_NAME LAB_NAMESPACE=$LAB_NAMESPACE "
	say "$1"
	cat <<-TEXT
		  look at it   $lab/app/
		  its API      $lab/api
		  users        admin/admin, who administers it$(printf ", %s/$password" "${people[@]}")
		  a token      curl -s $lab/api/auth/oauth/token -d grant_type=password -d username=ada -d password=$password
		  its log      docker logs -f $backend
		  its end      ${other}make lab-down
	TEXT
}

# ---- the commands ---------------------------------------------------------------------

up() {
	needs_command curl curl "the lab is asked with it"
	ensure_docker "$@"
	if is_running "$backend" && is_running "$database" && is_running "$storage"; then
		read_address
		wait_for_backend
		see_to_users
		tell "The lab is up already."
		return
	fi
	build_image
	ensure_network
	# PostgreSQL waits for its clients at SIGTERM.
	run "$database" database --stop-signal SIGINT
	run "$storage" storage
	[ "$LAB_PORT" != 0 ] || LAB_PORT=$(free_port)
	run_backend
	read_address
	wait_for_backend
	see_to_users
	tell "The lab is up."
}

restart_backend() {
	exists "$backend" || fail "There is no lab \"$LAB_NAME\" whose backend could be restarted: make lab starts one."
	read_address
	base_path=${CONTAXY_BASE_URL-$base_path}
	base_path=${base_path%/}
	docker rm --force "$backend" >/dev/null
	run_backend
	read_address
	wait_for_backend
}

down() {
	docker_answers || fail "Docker does not answer, so there is no lab either."
	local ours=label=ctxy.namespace=$LAB_NAMESPACE network
	# The backend first: it would make things anew.
	docker rm --force --volumes "$backend" >/dev/null 2>&1 || true
	docker ps --all --quiet --filter "$ours" | xargs -r docker rm --force --volumes >/dev/null
	docker volume ls --quiet --filter "$ours" | xargs -r docker volume rm --force >/dev/null
	for network in $(docker network ls --format '{{.Name}}' --filter "$ours") "$LAB_NAME"; do
		docker network inspect "$network" >/dev/null 2>&1 || continue
		# Somebody else's containers may be in it, they stay.
		docker network inspect --format '{{range .Containers}}{{println .Name}}{{end}}' "$network" |
			xargs -r -I {} docker network disconnect --force "$network" {} || true
		docker network rm "$network" >/dev/null
	done
	say "The lab is gone; its image $lab_image stays for the next time."
}

case ${1:-up} in
up) up "$@" ;;
restart-backend) restart_backend ;;
down) down ;;
image)
	ensure_docker "$@"
	build_image
	;;
*) fail "lab.sh knows up, down, restart-backend and image, not \"$1\"." ;;
esac
