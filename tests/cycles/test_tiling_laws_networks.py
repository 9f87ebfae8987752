"""Is the tiling chosen for a layer of a real network one that none of many sampled tilings beats?"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from simulator.workload import load_network
from simulator.workload.layer import Layer, Network
from tests.cycles.random_layers import Case
from tests.cycles.tiling_laws import Subject, beaten
from tests.cycles.tiling_player import Player
from tests.reference.sampled_tilings import sample_tilings

SAMPLES, LEAST_LEGAL = 2000, 200
NETWORKS = (
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "mobilenet_v1",
    "mobilenet_v2",
    "googlenet",
    "vit_b32",
)
ACCELERATORS = [
    (dataflow, overlap) for dataflow in ("os", "ws", "is") for overlap in ("none", "drain", "full")
]


@cache
def network_of(name: str, batch: int) -> Network:
    return load_network(name, batch=batch)


def layer_of(rnd: Random) -> Layer:
    """A layer out of its graph."""
    layer = rnd.choice(network_of(rnd.choice(NETWORKS), rnd.choice([1, 8])).layers)
    alone = tuple(replace(post, inputs=()) for post in layer.post_operations)
    return replace(layer, inputs=(), post_operations=alone)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_no_sampled_tiling_of_a_layer_is_better(seed: int) -> None:
    rnd = Random(seed)
    dataflow, overlap = ACCELERATORS[seed % len(ACCELERATORS)]
    size = rnd.choice([16, 32, 32, 128])
    fields = {
        "array.dataflow": dataflow,
        "array.overlap": overlap,
        "array.rows": size,
        "array.columns": size,
        "dram.bandwidth_gbyte_per_s": rnd.choice([6.4, 25.6, 100]),
    }
    layer = layer_of(rnd)
    subject = Subject(Case(layer, fields), "latency" if seed % 5 else "traffic")
    form = subject.forms[0]._replace(turned=subject.run.tiling.turned)
    problem = replace(subject.problem(form), added=0)
    chosen = list(subject.run.tiling.blocking)
    around = [*chosen[:6], chosen[6], chosen[7] + 1]
    player = Player.of(subject.run, turned=form.turned)
    rows = np.unique(sample_tilings(problem, rnd, SAMPLES, around), axis=0)
    played = player.play(rows)
    while len(played.rows) < LEAST_LEGAL:  # large layers, of which few samples fit
        rows = np.unique(np.concatenate([rows, sample_tilings(problem, rnd, SAMPLES, around)]), axis=0)
        played = player.play(rows)
    found = [said for said, _ in beaten(subject, played, player)]
    assert not found, f"{layer}\n{fields}\n" + "\n".join(found)
