# On a fresh machine with Python >= 3.10, `make demo` and `make test` each do all the set-up there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# a worker more than cores, since workers wait for the programs they start; a file's fixtures are made once
WORKERS := -n $(shell $(PYTHON) -c "import os; print(min(9, (os.cpu_count() or 1) + 1))") --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast test-exhaustive lint types docs bench bench-real bench-healthy real_baseline real_carvemix soak fuzz clean

$(VENV)/.installed: setup.py pyproject.toml nnunetv2_tf.pth
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[dev,demo,skullstrip]"
	touch $@

demo: $(VENV)/.installed  ## few patients, many healthy people: nnU-Net alone, with CarveMix, with TF-Aug
	@$(BIN)/python -m scripts.demo build/demo

test: lint $(VENV)/.installed  ## everything that guards a promise, once; what CI runs
	$(BIN)/python -m pytest -q $(WORKERS)

test-fast: $(VENV)/.installed  ## without what runs nnU-Net's commands or takes long
	$(BIN)/python -m pytest -q $(WORKERS) -m "not slow and not exhaustive"

test-exhaustive: $(VENV)/.installed  ## all combinations and the whole of the README's commands
	$(BIN)/python -m pytest -q $(WORKERS) -m ""

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/pyright

docs: $(VENV)/.installed  ## the documentation as pages, in build/site
	$(BIN)/python -m mkdocs build --strict --quiet

bench: $(VENV)/.installed  ## timings as ratios; results go to docs/results/
	$(BIN)/python -m benchmarks.help_time
	$(BIN)/python -m benchmarks.standin_time
	$(BIN)/python -m benchmarks.trainer_overhead

bench-real: $(VENV)/.installed  ## on the real scans in NNUNETV2_TF_REAL_DATA: CarveMix against its reference, and kills
	$(BIN)/python -m benchmarks.carvemix_time
	$(BIN)/python -m benchmarks.kills

bench-healthy: $(VENV)/.installed  ## on the same scans: healthy cohorts, their gap to the real one, where tumours go
	$(BIN)/python -m benchmarks.healthy_cohort build/healthy
	$(BIN)/python -m benchmarks.cohort_gap build/healthy
	$(BIN)/python -m benchmarks.placement build/healthy

real_baseline: $(VENV)/.installed  ## nnU-Net alone on 18 real scans at 2.5 mm, 12 validate; half an hour on two cores
	$(BIN)/python -m benchmarks.real_training baseline

real_carvemix: $(VENV)/.installed  ## the same with and without CarveMix, three seeds; three hours on two cores
	$(BIN)/python -m benchmarks.real_training carvemix

soak: $(VENV)/.installed  ## disks that fail, kills, full disks, a thousand cases; an hour, best as root
	$(BIN)/python -m benchmarks.soak build/soak
	$(BIN)/python -m benchmarks.thousand_cases build/thousand

fuzz: $(VENV)/.installed  ## ten minutes of bytes for every reader; Linux
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m benchmarks.fuzz build/fuzz

clean:
	rm -rf build dist *.egg-info
