"""`python -m tests.hostile.fuzzing N [SEED [KIND]]`: try N cases of all kinds or one and print what came of each kind."""

from __future__ import annotations

import sys

from tests.hostile.fuzzing.trials import run, table


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    only = sys.argv[3] if len(sys.argv) > 3 else None
    tally = run(count, seed=seed, only=only, told=sys.stderr)
    print(table(tally))
    for failure in tally.failures[:50]:
        print(failure)
    sys.exit(bool(tally.failures))


main()
