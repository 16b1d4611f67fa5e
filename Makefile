# Every target sets itself up first; `make help` lists them.
SHELL := /bin/bash
ROS ?= kilted
PYTHON ?=
# The CPU build, if pip's configuration offers one. A torch that is installed already is kept.
TORCH_SPEC ?= torch==2.13.0
export TORCH_SPEC
# A set of wheels/extras.py; installed extras are kept. The set-up runs once for all goals of a
# command, so the set is that of the most demanding goal.
EXTRAS := $(if $(filter test lint,$(MAKECMDGOALS)),all,$(if $(filter test-node soak,$(MAKECMDGOALS)),node-tests,commands))

ifdef ROS_DISTRO
  # A sourced ROS is used; its workspace is sourced on top of it, for the messages.
  ENVIRONMENT := .venv
  SOURCED := . install/setup.bash &&
else
  ENVIRONMENT := .venv$(if $(filter-out kilted,$(ROS)),-$(ROS))
  SOURCED :=
endif

# Tests talk over loopback only, in a domain of their own, and see the field checks that robots
# have on. Threads that wait do not spin, since other tests have use for the cores.
TEST_SETTINGS := OMP_WAIT_POLICY=PASSIVE ROS_PYTHON_CHECK_FIELDS=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
  ROS_DOMAIN_ID=$${ROS_DOMAIN_ID:-$$((RANDOM % 100 + 1))}
# Files side by side, a process per core: most of them wait for other processes half of their time.
# Each computes in one thread, unless a test asks for more. A process that ends in a test ends the
# run: pytest-xdist waits forever for the rest of its file.
WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
PYTEST := $(TEST_SETTINGS) OMP_NUM_THREADS=1 $(ENVIRONMENT)/bin/python -m pytest

ON_ROBOT := edgesegnet_ros/__init__.py edgesegnet_ros/arguments.py edgesegnet_ros/cli.py edgesegnet_ros/errors.py \
  edgesegnet_ros/extras.py edgesegnet_ros/lined_yaml.py edgesegnet_ros/shipped.py edgesegnet_ros/atomic_file.py \
  edgesegnet_ros/doctor edgesegnet_ros/network edgesegnet_ros/engines edgesegnet_ros/interface edgesegnet_ros/node \
  edgesegnet_ros/data/__init__.py edgesegnet_ros/data/classes.py \
  edgesegnet_ros/data/camvid.py edgesegnet_ros/data/camvid_colors.py \
  edgesegnet_ros/data/encodings.py edgesegnet_ros/data/file_kind.py edgesegnet_ros/data/geometry.py edgesegnet_ros/data/jpeg.py \
  edgesegnet_ros/data/label_image.py edgesegnet_ros/data/masks.py edgesegnet_ros/data/overlay.py \
  edgesegnet_ros/data/image_files.py edgesegnet_ros/data/sources edgesegnet_ros/data/street edgesegnet_ros/view
# These files run before the set-up, with the machine's python3.
SET_UP := wheels setup.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-node soak lint clean

help:  ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@echo
	@echo 'ROS=jazzy      Jazzy in place of Kilted, beside it (with no ROS sourced)'
	@echo 'PYTHON=FILE    the interpreter that the environment is made from (3.10 to 3.13)'
	@echo 'TORCH_SPEC=…   what pip is asked for where there is no torch yet ($(TORCH_SPEC))'
	@echo 'INPUT=…        for demo: folder of images, video, bag, or camera:0'
	@echo 'PYTEST_ARGS=…  for test: further options of pytest'
	@echo 'SOAK_ARGS=…    for soak, such as --help or --parts cycles'
	@echo 'WORKERS=       for test: one test after another (default: files side by side)'

setup:  ## create the environment with ROS 2 and the messages (2 to 3 minutes, then seconds)
	@python=$$(command -v $(or $(PYTHON),python3)) || \
	  { echo 'set-up: no $(or $(PYTHON),python3) on PATH; name a Python 3.10 to 3.13 with PYTHON=FILE' >&2; exit 2; }; \
	$$python wheels/set_up.py --ros $(ROS) --extras $(EXTRAS) $(if $(PYTHON),--python $(PYTHON))

demo: setup  ## run the node on a rendered street, or on INPUT=…
	@$(ENVIRONMENT)/bin/edgesegnet demo $(if $(INPUT),--input "$$INPUT")

test: setup camvid-notice  ## everything, the node over DDS included
	$(SOURCED) $(PYTEST) $(WORKERS) $(PYTEST_ARGS)

test-node: setup  ## the node's tests only
	$(SOURCED) $(PYTEST) $(WORKERS) -m node $(PYTEST_ARGS)

soak: setup  ## the node for an hour: 1,000 lifecycle cycles, 30 minutes of images, overload
	$(SOURCED) $(TEST_SETTINGS) $(ENVIRONMENT)/bin/python test/node/soak.py $(SOAK_ARGS)

lint: setup  ## ruff, mypy, and Python 3.8 for what runs on a robot
	$(ENVIRONMENT)/bin/python -m ruff check .
	$(ENVIRONMENT)/bin/python -m ruff format --check .
	$(SOURCED) $(ENVIRONMENT)/bin/python -m mypy
	$(ENVIRONMENT)/bin/vermin --target=3.8- --no-tips --violations $(wildcard $(ON_ROBOT)) $(SET_UP)

.PHONY: camvid-notice
camvid-notice:
	@if [ -z "$$EDGESEGNET_CAMVID" ]; then \
	  echo '======================================================================'; \
	  echo 'EDGESEGNET_CAMVID is not set: the tests that need CamVid are skipped.'; \
	  echo 'Name its folder to run them: EDGESEGNET_CAMVID=/path/to/camvid make test'; \
	  echo '======================================================================'; \
	fi

clean:  ## remove environments, builds and results
	rm -rf .venv .venv-jazzy build build-jazzy install install-jazzy out *.egg-info
