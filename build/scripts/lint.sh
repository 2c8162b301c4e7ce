#!/usr/bin/env bash
# lint.sh [go | frontend | scripts]: what can be said without running anything.
# Without an argument: all of it.
# shellcheck source=build/scripts/common.sh
. "$(dirname "$0")/common.sh"

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.7.0

lint_go() {
	local unformatted
	unformatted=$(find . \( -name node_modules -o -name .git \) -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
	[ -z "$unformatted" ] || fail "Not formatted, gofmt -w would: $unformatted"
	go vet ./...
	go run "$staticcheck" ./...
}

lint_frontend() {
	install_frontend_packages
	npm --prefix frontend run --silent lint
	npm --prefix frontend run --silent api:check
}

lint_scripts() {
	needs_command shellcheck shellcheck "it finds the mistakes that shells forgive"
	shellcheck --external-sources build/scripts/*.sh build/images/*.sh backend/engine/docker/*.sh .ci/run
}

case ${1:-all} in
go | frontend | scripts) "lint_$1" ;;
all)
	lint_go
	lint_frontend
	lint_scripts
	;;
*) fail "lint.sh knows go, frontend and scripts, not \"$1\"." ;;
esac
