"""Is PyTorch imported by those alone who ask for it, and is it named where it is missing?"""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(*lines: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_what_is_missing_is_named_with_the_extra_that_brings_it(missing: str) -> None:
    if missing == "onnxscript":
        pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")
    found = python(
        "import sys",
        f"sys.modules[{missing!r}] = None",
        "from simulator.foundation import UserError",
        "try:",
        "    from simulator.pytorch import simulate",
        "    import torch",
        "    simulate(torch.nn.Linear(2, 2), torch.zeros(1, 2))",
        "except UserError as error:",
        "    print(error)",
    )
    assert "pip install 'systolic-simulator[torch]'" in found
    assert ("PyTorch is not installed" if missing == "torch" else "exporter needs onnxscript") in found


def test_pytorch_is_not_imported_before_one_of_its_names_is_asked_for() -> None:
    assert (
        python(
            "import sys",
            "import simulator.api, simulator.cli, simulator.inference, simulator.pytorch",
            "print([name for name in ('torch', 'onnxscript', 'onnx_ir') if name in sys.modules])",
        )
        == "[]"
    )


def test_unknown_names_are_no_attributes() -> None:
    import simulator.pytorch

    assert not hasattr(simulator.pytorch, "simulat")
