# make serve   everything a newcomer needs: set up, build, serve on localhost:8000
# make test    set up with the development tools, then every check
#
# Needs only Python 3.11 or newer with its venv module. The environment is stamped with the hash of what it was
# installed from, so a second run starts at once.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
HOST ?= 127.0.0.1
PORT ?= 8000
SLOW ?=
ARGS ?=

hash = $(shell cat $(1) | cksum | tr ' ' -)
PIP := $(PY) -m pip --disable-pip-version-check --quiet --no-input
RUN_STAMP := $(VENV)/.run-$(call hash,requirements.lock requirements-build.lock pyproject.toml)
DEV_STAMP := $(VENV)/.dev-$(call hash,requirements-dev.lock pyproject.toml)

.PHONY: help serve test texts screenshots assets warm guests image lock clean

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

serve: $(RUN_STAMP) assets
	@$(VENV)/bin/vmlab serve --host $(HOST) --port $(PORT) $(ARGS)

test: $(DEV_STAMP) assets
	@$(PY) -m pytest --numprocesses=2 --dist=loadgroup $(if $(SLOW),,-m "not slow") $(ARGS)

assets: $(RUN_STAMP)
	@$(PY) static/build_assets.py

texts: $(RUN_STAMP)
	@$(VENV)/bin/vmlab texts

screenshots: $(DEV_STAMP) assets
	@$(VENV)/bin/vmlab screenshots var/screenshots

warm: $(RUN_STAMP)
	@$(VENV)/bin/vmlab warm

guests: $(DEV_STAMP)
	@$(VENV)/bin/vmlab guests build primer
	@$(VENV)/bin/vmlab guests build linux

$(PY):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one, or say which: make PYTHON=..." >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(PY)
	@echo "Installing Python packages into $(VENV) (a minute, the first time only)"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@echo "Installing vmlab and building the page's scripts"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.run-*
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) | $(PY)
	@echo "Installing the development tools into $(VENV) (a minute, the first time only)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@rm -f $(VENV)/.dev-*
	@touch $@

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

lock: $(DEV_STAMP)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group build -c requirements.lock -o requirements-build.lock
	$(LOCK) pyproject.toml --extra c --group build --group dev -c requirements.lock -o requirements-dev.lock
	cd static && npm install --package-lock-only --ignore-scripts

image:
	@tool=$$(command -v podman || command -v buildah || command -v docker) \
		|| { echo "make: none of podman, buildah and docker found" >&2; exit 1; }; \
	BUILDAH_FORMAT=docker "$$tool" build --tag vmlab .

clean:
	rm -rf $(VENV) static/dist static/node_modules
