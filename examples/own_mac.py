"""A multiply-accumulate unit of your own: how narrow may its accumulator be?"""

from simulator.api import infer

for bits in (30, 22, 20, 18):
    unit = {
        "activation": "e3m4",
        "weight": "e3m4",
        "accumulator": {"kind": "fixed", "bits": bits, "lsb": -6, "overflow": "saturate"},
    }
    result = infer("lenet5_fashion", "fashion_mnist_1000", mac=unit, images=50)
    outside = sum(layer.outside for layer in result.sums.values())
    print(f"{bits} bits: top-1 {result.accuracy.top1:.1%}, {outside:,} sums left the accumulator")
