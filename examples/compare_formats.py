"""Compare number formats on a trained network, and keep those that lose less than two points."""

from simulator.api import Tensors, compare

images = Tensors("fashion_mnist_1000", images=300)
runs = compare("lenet5_fashion", macs=["int8", "e4m3 x e4m3", "e2m1 x e2m1"], tensors=images)
frame = runs.to_dataframe().set_index("mac")
print(frame[["top1", "top1_points", "energy_pj_relative", "area_um2_relative"]].round(3))
print("loses less than two points:", list(frame.index[frame["top1_points"].fillna(0) > -2]))
runs.save("formats.csv")
runs.save("formats.html")
