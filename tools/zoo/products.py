"""Products as the zoo compares them: how many of M x K times K x N, counted as a multiset."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from simulator.workload import Network


class Product(NamedTuple):
    """`groups` independent products of M x K times K x N; `n` is that of one group."""

    groups: int
    m: int
    n: int
    k: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.groups * self.m * self.n * self.k

    @property
    def unordered(self) -> Product:
        """The same product with the larger of M and N first: A x B and its transpose B' x A' are one."""
        return Product(self.groups, max(self.m, self.n), min(self.m, self.n), self.k)


Products = Counter[Product]


def macs(products: Products) -> int:
    """Multiply-accumulates of a multiset of products."""
    return sum(product.macs * count for product, count in products.items())


def of_network(network: Network) -> Products:
    """The layers of a network as products."""
    return Counter(Product(layer.groups, layer.m, layer.n_per_group, layer.k) for layer in network.layers)


def without_order(products: Products) -> Products:
    """The same multiset where a product and its transpose are one."""
    unordered: Products = Counter()
    for product, count in products.items():
        unordered[product.unordered] += count
    return unordered
