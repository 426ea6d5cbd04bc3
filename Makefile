# make demo    everything from nothing to a running estimator, with a table of its errors
# make test    everything from nothing to a passing test suite
# make accuracy  shipped models measured anew, docs/accuracy.md written from it (FRAMES=336)
# make ablation  what each module of CR-Net and ACR-Pose adds, docs/ablation.md (START=checkpoint)
# make ablation-mrc  what each choice in MRC-Net adds, docs/ablation_mrc.md (OBJECTS=cad PARTS=data)
# make occlusion  objects that others hide, docs/occlusion.md (FRAMES=112)
# make setup   only the set-up of the demo (setup-test: of the tests)
#
# SOURCE=folder   demo on recorded RGB-D frames instead of the simulated camera
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

.PHONY: help setup setup-test demo test lint benchmark accuracy ablation ablation-mrc occlusion clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -12

setup:
	@$(PYTHON) tools/setup_environment.py --set demo --ort $(ORT)

setup-test:
	@$(PYTHON) tools/setup_environment.py --set test --ort $(ORT)

demo: setup
	@$(BIN)/python -m pose_estimation_ros.cli.main demo $(if $(SOURCE),--source "$(SOURCE)") $(if $(BACKEND),--backend "$(BACKEND)")

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGUMENTS)

# Recorded frames with a weak reference; they are not part of the repository.
RECORDED ?= ../shared/data/real_frames

benchmark: setup-test
	$(BIN)/python -m pose_estimation_ros.cli.main dataset frames data/benchmark --split test --count 96
	$(BIN)/python benchmarks/frame_rate.py
	$(BIN)/python benchmarks/synthetic_data.py
	rm -rf runs/benchmark
	$(BIN)/python -m pose_estimation_ros.cli.main evaluate data/benchmark --out runs/benchmark --visibility 0.4
ifneq ($(wildcard $(RECORDED)),)
	$(BIN)/python benchmarks/real_frames.py --data $(RECORDED)
	$(BIN)/python benchmarks/realism.py --real $(RECORDED)
else
	@echo 'no recorded frames in $(RECORDED): real_frames and realism are skipped'
endif

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

# Frames of the occlusion benchmark.
occlusion: FRAMES = 112
occlusion: setup-test
	$(BIN)/python -m pose_estimation_ros.cli.main benchmark occlusion -- --frames $(FRAMES)

FORCE:

clean:
	rm -rf .venv build install log demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
