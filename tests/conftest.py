"""Settings of all tests: no deadline on busy machines; continuous integration always draws the same."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("systolic", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("systolic")
