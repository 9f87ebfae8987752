"""Is the tiling chosen for layers of real networks one that no sampled tiling beats?"""

from __future__ import annotations

from random import Random

import pytest

from simulator.arch import load_arch
from simulator.workload import load_network
from simulator.workload.layer import Layer
from tests.cycles.tiling_laws import TOLERANCE, Subject, better_tilings
from tests.cycles.random_layers import Case
from tests.cycles.tiling_player import Player, cost_of
from tests.reference.sampled_tilings import sample_tilings

SAMPLES, LEAST_LEGAL = 1500, 200
NETWORKS = ("alexnet", "vgg16", "resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2", "googlenet", "vit_b32")
ACCELERATORS = [(dataflow, overlap) for dataflow in ("os", "ws", "is") for overlap in ("none", "drain", "full")]
