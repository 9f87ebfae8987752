"""Where do the cycles of a network go? The five layers that take most of them, and what they wait for."""

from simulator.api import simulate

result = simulate("resnet18")
frame = result.to_dataframe().sort_values("total_cycles", ascending=False)
print(frame[["name", "m", "n", "k", "total_cycles", "stall_cycles", "utilization"]].head().round(2))
result.plot("roofline").savefig("roofline.png")
