# SPDX-License-Identifier: Apache-2.0
"""What a run will do, before it runs: the operations that will take longest.

    plan.py MODEL ROWS
"""
import sys

import tessera

encoder = tessera.Encoder(sys.argv[1])
plan = encoder.plan(rows=int(sys.argv[2]))
print(f"{len(plan)} operations, {1e3 * plan.seconds:.1f} ms")
for row in sorted(plan.rows, key=lambda row: -row.seconds)[:3]:
    print(
        f"{row.kind} {row.name}: {row.order}, {row.l2_bytes / 1e6:.1f} MB into L2, limited by {row.limit}"
    )
