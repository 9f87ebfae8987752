"""Plans for a run over workers: made once in the process that was started, kept, and handed to all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from simulator.foundation import UserError
from simulator.inference.images import FALLBACK_CALIBRATION_IMAGES
from simulator.inference.policies import default_policy, get_policy, needs_calibration
from simulator.inference.quantization import NetworkPlan
from simulator.inference.run_inference import plan_network
from simulator.numerics import Mac, get_mac
from simulator.numerics.mac_setting import MacChoice
from simulator.spread_inference.block_jobs import key_of
from simulator.spread_inference.inference_store import InferenceStore
from simulator.spread_inference.opened_source import OpenedSource
from simulator.spread_inference.plan_document import plan_text

_LOOK_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a network gets its formats: a MAC for all layers, others for single ones, and policies.

    Attributes:
        mac: of every layer that `layer_macs` does not name.
        policy: of every MAC, or by the name of each; None: as each MAC's default says.
        layer_macs: MACs of single layers by name.
    """

    mac: Mac
    policy: str | Mapping[str, str] | None = None
    layer_macs: Mapping[str, Mac] | None = None

    @classmethod
    def of(cls, mac: MacChoice, policy: str | None) -> Arithmetic:
        """A MAC in any form and a policy by name. Raises UserError: one of them is unknown."""
        if policy is not None:
            get_policy(policy)
        return cls(get_mac(mac), policy)

    @property
    def macs(self) -> tuple[Mac, ...]:
        """Every MAC that layers have, each once."""
        return tuple(dict.fromkeys((self.mac, *(self.layer_macs or {}).values())))

    def policy_of(self, mac: Mac) -> str:
        """The policy of a MAC."""
        if isinstance(self.policy, str):
            return self.policy
        return (self.policy or {}).get(mac.name) or default_policy(mac)

    @property
    def label(self) -> str:
        """MACs and policies for people."""
        return " and ".join(f"{mac.name} ({self.policy_of(mac)})" for mac in self.macs).replace('"', "'")


def plan_key(opened: OpenedSource, arithmetic: Arithmetic) -> str:
    """A hash of all that decides a plan; of calibration images only where a policy looks at them."""
    policies = [get_policy(arithmetic.policy_of(mac)) for mac in arithmetic.macs]
    calibrates = any(policy.search or needs_calibration(policy) for policy in policies)
    layers = sorted((arithmetic.layer_macs or {}).items())
    return key_of(
        {
            "kind": "plan",
            "label": arithmetic.label,
            "model": opened.model_hash,
            "sizes": repr(opened.model.known_sizes),
            "mac": arithmetic.mac.spec.document(),
            "layer_macs": [(name, mac.spec.document()) for name, mac in layers],
            "policies": [asdict(policy) for policy in policies],
            "calibration": _calibration(opened) if calibrates else None,
        }
    )


def _calibration(opened: OpenedSource) -> tuple[str, str]:
    """What the calibration images are made of, and how they are prepared."""
    facts = opened.data.facts
    if opened.data.calibration is not None:  # in the file of arrays, whole
        return opened.arrays_hash, facts.preprocess
    count = min(FALLBACK_CALIBRATION_IMAGES, len(opened.data.images))
    return f"{count} {opened.content(0, count)}", facts.preprocess


def keep_plan(
    key: str,
    opened: OpenedSource,
    arithmetic: Arithmetic,
    store: InferenceStore,
    *,
    alive: Callable[[], None],
) -> str | None:
    """Have a plan in the store: it is made and kept where it is not there yet.

    One process on a store makes a plan, others wait for it, and take over where that one ends without it.

    Args:
        key: of the plan (`plan_key`).
        opened: network and data.
        arithmetic: the formats.
        store: where plans are kept.
        alive: asked while this waits; raises UserError where the run has become pointless.

    Returns:
        Why there can be no such plan, in words; None where it is in the store.

    Raises:
        UserError: a store that cannot be written or is corrupted.
    """
    store.require_sound([key])
    while not store.finished(key):
        if not store.claim(key):
            alive()
            time.sleep(_LOOK_AGAIN_S)
            continue
        try:
            if not store.finished(key):
                try:
                    plan = plan_of(opened, arithmetic)
                except UserError as error:
                    return str(error)
                store.write(key, plan_text(plan, arithmetic.label))
        finally:
            store.release(key)
    return None


def plan_of(opened: OpenedSource, arithmetic: Arithmetic) -> NetworkPlan:
    """Put a network into the formats of an arithmetic. Raises UserError as `plan_network`."""
    return plan_network(
        opened.model,
        opened.data,
        arithmetic.mac,
        arithmetic.policy,
        layer_macs=arithmetic.layer_macs,
        calibrations=opened.calibrations,
    )
