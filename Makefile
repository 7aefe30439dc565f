# Two commands matter: `make demo` and `make test`. The rest are their parts.
SHELL := /bin/bash
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help env lock demo shell demo-down test lint unit molecule examples bindings ubuntu arm64 image open-webui cuda core-next docs clean

help:  ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

env: $(VENV)/.ready  ## Set up the controller's environment from requirements.lock

$(VENV)/.ready: requirements.lock tools/make-env
	tools/make-env $(VENV)

lock: env  ## Resolve pyproject.toml into requirements.lock again
	uv pip compile pyproject.toml --group dev --group demo --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --custom-compile-command 'make lock' -o requirements.lock
	uv pip compile roles/fleet_gateway/files/requirements.in --universal --generate-hashes --exclude-newer '7 days' \
	  --python-version 3.10 --no-emit-index-url --custom-compile-command 'make lock' \
	  -o roles/fleet_gateway/files/requirements.lock
	uv pip compile examples/requirements.in --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --custom-compile-command 'make lock' -o examples/requirements.lock
	uv pip compile examples/bindings.in --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --custom-compile-command 'make lock' -o examples/bindings.lock
	uv pip compile tests/open_webui/requirements.in --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --custom-compile-command 'make lock' -o tests/open_webui/requirements.lock
	uv pip compile tests/cuda/requirements.in --no-deps --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --custom-compile-command 'make lock' -o tests/cuda/requirements.lock

demo: env  ## The main job: a local fleet of containers serves a real model and answers
	tools/host-packages openssh-client
	tools/host-docker
	python tools/demo.py up

shell: env  ## Log in to a device of the demo (make shell HOST=jetson-01)
	@python tools/demo.py shell $(or $(HOST),pi-01)

demo-down: env  ## Remove every trace of the demo
	python tools/demo.py down

test: env  ## Everything: lint, unit tables, roles and the site on real containers
	@mkdir -p .artifacts
	tools/host-docker  # here, so that an engine that it starts is not as nice as what follows
	nice tools/images >.artifacts/images.log 2>&1 & images=$$!; trap 'kill $$images 2>/dev/null || true' EXIT; \
	  $(MAKE) lint unit molecule

lint: env  ## Linters and type checker
	tools/timed.py lint tools/lint

unit: env  ## Tables of decisions; no containers
	tools/host-packages aria2 mtools dosfstools fdisk openssh-client
	tools/timed.py unit python -m pytest tests/unit

molecule: env  ## Every scenario on containers (one: make molecule SCENARIO=llama_service)
	tools/host-packages openssh-client chromium chromium-driver mtools dosfstools fdisk xz-utils
	tools/molecule $(SCENARIO)

examples: env  ## Examples with packages of their own, asking the demo fleet (after make demo)
	test -x .cache/examples/bin/python || python -m venv .cache/examples
	.cache/examples/bin/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes -r examples/requirements.lock
	python -m pytest tests/examples

bindings: env  ## A file of the demo opened by Python itself, which compiles llama.cpp once (after make demo)
	tools/host-packages build-essential cmake ninja-build
	test -x .cache/bindings/bin/python || uv venv --quiet .cache/bindings
	uv pip install --quiet --python .cache/bindings --require-hashes \
	  --build-constraints examples/bindings.lock -r examples/bindings.lock
	python -m pytest tests/bindings

ubuntu: env  ## Ubuntu Server 24.04 on a Raspberry Pi: the first start, then the baseline roles, on Ubuntu's own packages
	tools/host-packages openssh-client mtools dosfstools fdisk
	tools/host-docker
	tools/timed.py ubuntu python -m pytest tests/ubuntu

arm64: env  ## A Raspberry Pi 5 and a 4 as QEMU emulates them, from bare to an answer
	tools/host-packages openssh-client
	tools/host-docker
	tools/timed.py arm64 python -m pytest tests/arm64

image: env  ## A container image of the demo's model: made, started, asked (after make demo)
	tools/host-packages aria2
	python -m pytest tests/image

open-webui: env  ## Open WebUI as the chat page, on the demo's Jetson, in a container (after make demo)
	tools/host-packages chromium chromium-driver
	tools/timed.py open-webui python -m pytest tests/open_webui

cuda: env  ## llama.cpp for NVIDIA GPUs: configured, and parts of it compiled by the real nvcc (570 MB of wheels once)
	tools/host-packages build-essential cmake ninja-build libssl-dev
	tools/timed.py cuda python -m pytest tests/cuda

core-next: env  ## Inputs of roles on the newest ansible-core (needs Python 3.12: make core-next PYTHON=python3.13)
	PYTHON=$(PYTHON) tools/core-next

docs: env  ## Regenerate the tables of the documentation: the roles' inputs, sizes of models
	python tools/role_docs.py
	tools/fit_tables.py

clean: demo-down  ## Remove the environment and all caches
	rm -rf $(VENV) .cache .artifacts .ansible
