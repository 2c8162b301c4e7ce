# The two commands are `make run` and `make test`; what they do is in build/scripts.

.DEFAULT_GOAL := help
.PHONY: help run test build build-headless image workspace-image lab lab-down bench lint clean

help: ## shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## installs and starts what is missing, then opens the window or serves (ARGS="--config FILE")
	@build/scripts/run.sh $(ARGS)

test: ## everything the pipeline checks: lint, tests, browser, window, other systems
	@build/scripts/test.sh $(ARGS)

build: ## the program with its window: build/bin/lab-workspace-manager
	@build/scripts/build.sh window

build-headless: ## the same without window, one static file: build/bin/lab-workspace-manager-headless
	@build/scripts/build.sh headless

image: ## this program as an extension of ML Lab: the image lab-workspace-manager
	@build/scripts/image.sh

workspace-image: ## the default workspace image, in Docker
	@build/scripts/workspace-image.sh

lab: ## a real ML Lab in Docker to try things with, on port 30010
	@build/scripts/lab.sh up

lab-down: ## takes that lab away, with all that was made in it
	@build/scripts/lab.sh down

bench: ## measures the speeds that the README tells
	@build/scripts/bench.sh $(ARGS)

lint: ## gofmt, vet, staticcheck, TypeScript, ESLint, shellcheck
	@build/scripts/lint.sh

clean: ## removes what was built here; containers, volumes and images stay
	@rm -rf build/bin frontend/node_modules
	@find frontend/dist -mindepth 1 ! -name .gitkeep -delete 2>/dev/null || true
