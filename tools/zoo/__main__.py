"""Measure the zoo: each architecture executed by PyTorch against the same one exported and read.

    python -m tools.zoo                      # all, about an hour
    python -m tools.zoo resnet18 bert_base   # some
    python -m tools.zoo --list

Needs PyTorch, torchvision, onnxscript and transformers (`make zoo` installs them into an environment of its
own). Writes `tools/data/zoo.csv`, the bundled networks that come from PyTorch, and the products that executing
the bundled networks showed. The exit code is 1 where an architecture is read as something else than was executed.
"""

from __future__ import annotations

import gc
import sys
import time

from tools.zoo.products import macs
from tools.zoo.records import read_records, write_records


def main(names: list[str]) -> int:
    """Measure the named architectures, or all; the exit code."""
    try:
        from tools.zoo.architectures import architectures
        from tools.zoo.bundled import keep
        from tools.zoo.measure import measured, record
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed; `make zoo` makes an environment that has it", file=sys.stderr)
        return 2
    available = {one.name: one for one in architectures()}
    if names == ["--list"]:
        print("\n".join(available))
        return 0
    unknown = [name for name in names if name not in available]
    if unknown:
        print(f"no such architecture: {', '.join(unknown)}; --list names all", file=sys.stderr)
        return 2
    wrong = 0
    for name in names or available:
        start = time.monotonic()
        try:
            with measured(available[name]) as (measurement, path):
                keep(measurement, path)
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:500]}", flush=True)
            wrong += 1
            continue
        new = record(measurement)
        known = {one.name: one for one in read_records()} | {name: new}
        write_records(known[each] for each in available if each in known)
        seconds = time.monotonic() - start
        print(
            f"{name}: {new.agreement}, {new.executed_macs:,} MACs executed, {new.read_macs:,} read, "
            f"{new.counter_macs:,} by PyTorch's counter, {new.layers} layers, {seconds:.0f} s",
            flush=True,
        )
        if new.agreement == "no" or macs(measurement.executed) != measurement.counted_macs:
            wrong += 1
        for difference in list(measurement.differences)[:20]:
            print(f"    {difference}", flush=True)
        gc.collect()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
