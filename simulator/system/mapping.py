"""The mapping of a run: dataflow and tiling of every layer, as an architecture file can fix them."""

from __future__ import annotations

from typing import Any

from simulator.system.run_network import LayerRun, MachineRun


def mapping_of(run: MachineRun) -> dict[str, dict[str, Any]]:
    """The section `layers` of an architecture file with which a run gives the same result again."""
    return {"layers": {layer.layer.name: _of_layer(layer) for layer in run.layers}}


def _of_layer(run: LayerRun) -> dict[str, Any]:
    tiling: dict[str, Any] = run.tiling.fixed()
    tiling["keep_ofmap_on_chip"] = bool(run.played.work.ofmap_stays)
    return {"dataflow": run.played.timing.dataflow, "tiling": tiling}
