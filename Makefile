# Everything here first makes .venv from uv.lock, with nothing but Python ≥ 3.11: see tools/bootstrap.sh.
#   make run ARGS="--config my.toml"     make test ARGS="tests/test_wav.py -k float"     make PYTHON=python3.13 test

BIN := .venv/bin
ARGS ?=

# Bytecode is what makes the second start fast.
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

.PHONY: help run demo test check bench .venv

help:
	@echo "make run    the daemon, in the foreground   (ARGS=--help: its options)"
	@echo "make demo   see and hear it all, once"
	@echo "make test   every test; those that need a missing part say so"
	@echo "make check  style, types, architecture and documents; silent when all is well"
	@echo "make bench  the benchmarks, one JSON line each"

.venv:
	@sh tools/bootstrap.sh

run demo: .venv
	@exec $(BIN)/python -m vonad $@ $(ARGS)

test: .venv
	@exec $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal $(ARGS)

# Everything that is wrong at once, and nothing else.
check: .venv
	@wrong=; \
	$(BIN)/ruff check --quiet || wrong=1; \
	$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; wrong=1; }; \
	$(BIN)/python -m mypy --no-error-summary || wrong=1; \
	claims=$$($(BIN)/python -m pytest -q --no-header $(wildcard tests/test_architecture.py tests/test_docs.py) 2>&1) \
		|| { echo "$$claims"; wrong=1; }; \
	[ -z "$$wrong" ]

bench: .venv
	@for bench in bench/bench_*.py; do $(BIN)/python "$$bench" || exit; done
