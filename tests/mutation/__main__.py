"""``python -m tests.mutation [TIMES [GROUP...]]``: as the tests, with TIMES as many files; prints figures."""

from __future__ import annotations

import sys

from tests.mutation.run import counts, outcomes
from tests.mutation.subjects import GROUPS
from tests.mutation.test_mutations import FILES


def main(times: int, groups: list[str]) -> int:
    faults = 0
    print(f"{'':28}{'tried':>8}{'clean':>8}{'accepted':>10}{'failures':>10}{'over 2 s':>10}{'over 500 MB':>13}")
    for group in groups:
        found = list(outcomes(group, FILES * times))
        for subject, row in counts(found).items():
            print(f"{subject:28}{row['tried']:8}{row['clean']:8}{row['accepted']:10}", end="")
            print(f"{row['failures']:10}{row['over 2 s']:10}{row['over 500 MB']:13}", flush=True)
        for one in found:
            if one.fault:
                faults += 1
                print(f"    {one.subject}, {one.change}: {one.fault[:200]}", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1, sys.argv[2:] or list(GROUPS)) > 0)
