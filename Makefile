# make demo    everything from nothing to a running estimator, with a table of its errors
# make test    everything from nothing to a passing test suite
# make benchmark  speed measured anew, docs/benchmarks.md written from it (TABLES="stages ...")
# make accuracy  shipped models measured anew, docs/accuracy.md written from it (FRAMES=336)
# make ablation  what each module of CR-Net and ACR-Pose adds, docs/ablation.md (START=checkpoint)
# make ablation-mrc  what each choice in MRC-Net adds, docs/ablation_mrc.md (OBJECTS=cad PARTS=data)
# make ablation-disp6d  what each choice in DISP6D adds, docs/ablation_disp6d.md
# make occlusion  objects that others hide, docs/occlusion.md (FRAMES=112)
# make faults  what the node survives, docs/robustness.md
# make soak    the node for an hour: memory, latency, drops (MINUTES=60 BACKEND=spd SOURCE=folder)
# make docs    the documentation as a site, build/site/index.html; broken links fail
# make lifecycle  the node up and down, memory bounded (LOOPS=1000)
# make setup   only the set-up of the demo (setup-test: of the tests)
#
# SOURCE=folder   demo on recorded RGB-D frames or a bag instead of the simulated camera
# BACKEND=name    demo with another method than spd: crnet, acr
# ORT=cpu|gpu     which ONNX Runtime; by default gpu where an NVIDIA driver is loaded
# PYTHON=...      which Python makes the environment (3.10 to 3.13)

PYTHON ?= python3
ORT ?= auto
BIN := .venv/bin

# Everything that we start uses shared memory that holds a whole image.
export FASTDDS_DEFAULT_PROFILES_FILE ?= $(CURDIR)/config/fastdds.xml

# The environment brings its own ROS: keep a sourced one, and another environment's, out of it.
ifneq ($(AMENT_PREFIX_PATH)$(_ROS_WHEELS_BOOTSTRAP_COMPLETE),)
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif

.PHONY: help setup setup-test demo test lint benchmark accuracy ablation ablation-mrc ablation-disp6d occlusion docs pages faults soak figures lifecycle clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -17

setup:
	@$(PYTHON) tools/setup_environment.py --set demo --ort $(ORT)

setup-test:
	@$(PYTHON) tools/setup_environment.py --set test --ort $(ORT)

demo: setup
	@$(BIN)/python -m pose_estimation_ros.cli.main demo $(if $(SOURCE),--source "$(SOURCE)") $(if $(BACKEND),--backend "$(BACKEND)")

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/mypy

# Memory in large pages: on virtual machines each new page can cost more than the test itself.
test: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1
test: export PYTHONMALLOC = malloc
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGUMENTS)

# Recorded frames with a weak reference; they are not part of the repository.
RECORDED ?= ../shared/data/real_frames

# Tables of docs/benchmarks.md to measure anew; nothing = all.
TABLES ?=

benchmark: setup-test
	$(BIN)/python -m pose_estimation_ros.evaluation.speed_document $(if $(TABLES),--only $(TABLES))

# Test frames per domain on which the shipped models are measured.
FRAMES ?= 336

accuracy: setup-test
	$(BIN)/python -m pose_estimation_ros.evaluation.accuracy_document --frames $(FRAMES) --real $(RECORDED)

# Checkpoint of an SPD lite that the networks of the ablation begin with, and their steps.
START ?= runs/spd_lite/last.pt
STEPS ?= 500
CROPS := data/crops/primary/rgbd_train data/crops/primary/rgbd_test data/crops/second/rgbd_test

# Coloured crops are cut out of the frames of `dataset frames`, as docs/training.md makes them.
data/crops/%: FORCE
	$(BIN)/python -m pose_estimation_ros.cli.main dataset cut $@ --frames data/frames/$(subst rgbd_,,$*)

ablation: setup-test $(CROPS)
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark ablation -- --start-from $(START) \
		--data $(word 1,$(CROPS)) $(addprefix --test ,$(wordlist 2,3,$(CROPS))) --steps $(STEPS)

# CAD models of known objects, the folder of frames and views of them as docs/known_objects.md
# makes it, and the steps of each variant of MRC-Net.
OBJECTS ?= cad
PARTS ?= data/parts
MRC_STEPS ?= 600
# Checkpoint of a `train mrc-lite` that all variants begin with; nothing = from scratch.
MRC_START ?=
VIEWS := $(PARTS)/views/train $(PARTS)/views/test

$(VIEWS): FORCE
	$(BIN)/python -m pose_estimation_ros.cli.main dataset views $@ \
		--frames $(subst /views/,/frames/,$@) --objects $(OBJECTS)

ablation-mrc: setup-test $(VIEWS)
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark ablation_mrc -- \
		--data $(word 1,$(VIEWS)) --test $(word 2,$(VIEWS)) --steps $(MRC_STEPS) \
		$(addprefix --start-from ,$(MRC_START))

DISP6D_STEPS ?= 2000
TURNED := data/turned/train data/turned/test

data/turned/%: FORCE
	$(BIN)/python -m pose_estimation_ros.cli.main dataset turned $@ --frames data/frames/primary/$*

ablation-disp6d: setup-test $(TURNED)
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark ablation_disp6d -- \
		--data $(word 1,$(TURNED)) --test $(word 2,$(TURNED)) --steps $(DISP6D_STEPS)

# Frames of the occlusion benchmark.
occlusion: FRAMES = 112
occlusion: setup-test
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark occlusion -- --frames $(FRAMES)

# Pages and the parameter file that are made from the code.
pages: setup-test
	$(BIN)/python tools/site/pages.py

# Figures of docs/how_it_works.md and docs/design.md.
figures: setup-test
	$(BIN)/python tools/site/figures.py

docs:
	@$(PYTHON) tools/setup_environment.py --set docs --ort $(ORT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'build/site/index.html'

# Activations of one node with a real network, each of which frees and loads its models.
LOOPS ?= 1000

lifecycle: setup-test
	LIFECYCLE_LOOPS=$(LOOPS) $(BIN)/python -m pytest -q --basetemp=/tmp/pose_lifecycle test/nodes/test_lifecycle_loops.py

faults: setup-test
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark faults -- --write docs

MINUTES ?= 60
soak: setup-test
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark soak -- --minutes $(MINUTES) \
		$(if $(SOURCE),--source "$(SOURCE)") $(if $(BACKEND),--backend "$(BACKEND)")

FORCE:

clean:
	rm -rf .venv build install log demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
