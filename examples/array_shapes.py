"""The same 1,024 processing elements in five shapes: which one suits mobilenet_v1?"""

from simulator.api import simulate

for rows in (8, 16, 32, 64, 128):
    shape = {"array.rows": rows, "array.columns": 1024 // rows}
    totals = simulate("mobilenet_v1", overrides=shape).totals
    print(f"{rows:4} x {1024 // rows:<4} {totals.cycles:>10,} cycles, utilization {totals.utilization:.1%}")
