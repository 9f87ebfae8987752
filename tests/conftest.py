"""Settings of all tests: no deadline on busy machines; continuous integration always draws the same.

`HYPOTHESIS_PROFILE=mutants` always draws the same and takes the first failure, without making it smaller.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

os.environ.setdefault("SYSTOLIC_CACHE_DIR", "")  # no test finds what another one left

settings.register_profile("systolic", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("mutants", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "systolic"))
