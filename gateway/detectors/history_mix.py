"""How far a sample of traffic is from every mixture of others: the two-sample test of a tenant's own history. Pure.

    distance = min over shares a of || mean(recent) - sum a_k mean(known_k) ||^2        (a_k >= 0, sum a_k = 1)

With one known sample this is the (biased) MMD of Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), with the kernel of
`history_cells`. With several, no change of the shares between known kinds of traffic (a day and a night, several programs under
one tenant) is a distance. `noise` is what independent requests would show by chance alone: the traces of both covariances over
their numbers of requests, so that distance less noise is the unbiased estimate.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from gateway.detectors.history_cells import WEIGHTS, Sums

ROUNDS = 40
"""Of Frank-Wolfe with exact steps, on at most a dozen numbers."""


class Known(NamedTuple):
    """Samples that are compared with, prepared: made again only when one of them changes."""

    shares: tuple[array[float], ...]
    gram: tuple[list[float], ...]
    """Products of the means."""
    spread: tuple[float, ...]
    """Trace of each covariance over its number of requests."""


class Apart(NamedTuple):
    """How far a sample is from the nearest mixture."""

    distance: float
    noise: float
    """The distance to be expected of independent requests where nothing has changed."""
    mix: tuple[float, ...]
    """Shares of the known samples in that mixture."""

    @property
    def excess(self) -> float:
        """The unbiased estimate: about 0 where nothing has changed."""
        return self.distance - self.noise

    @property
    def ratio(self) -> float:
        """About 1 for independent requests where nothing has changed; more where they come in runs that are alike."""
        return self.distance / self.noise if self.noise > 0 else 0.0


def known_of(samples: Sequence[Sums]) -> Known:
    shares = [array("d", sums.shares()) for sums in samples]
    weighted = [[weight * share for weight, share in zip(WEIGHTS, each)] for each in shares]
    gram = [[_product(one, other) for other in shares] for one in weighted]
    spread = [_spread(each, sums.requests) for each, sums in zip(shares, samples)]
    return Known(tuple(shares), tuple(gram), tuple(spread))


def apart(recent: Sums, known: Known) -> Apart:
    """From the nearest mixture of what is known, which is at least one sample."""
    shares = recent.shares()
    weighted = [weight * share for weight, share in zip(WEIGHTS, shares)]
    products = [_product(weighted, each) for each in known.shares]
    mix = _nearest(known.gram, products)
    inner = sum([a * b * known.gram[i][j] for i, a in enumerate(mix) if a for j, b in enumerate(mix) if b])
    distance = _product(weighted, shares) - 2 * _product(mix, products) + inner
    noise = _spread(shares, recent.requests) + sum([a * a * each for a, each in zip(mix, known.spread)])
    return Apart(max(0.0, distance), noise, tuple(mix))


def mixed(known: Known, mix: Sequence[float]) -> list[float]:
    """Shares by cell of a mixture."""
    return [_product(mix, column) for column in zip(*known.shares)]


def _nearest(gram: Sequence[Sequence[float]], products: Sequence[float]) -> list[float]:
    """Shares a that minimise a'Ga - 2a'p on the simplex: pairwise Frank-Wolfe (Lacoste-Julien and Jaggi, NeurIPS 2015)."""
    count = len(products)
    best = min(range(count), key=lambda k: gram[k][k] - 2 * products[k])
    mix = [0.0] * count
    mix[best] = 1.0
    inner = list(gram[best])
    """G a."""
    for _ in range(ROUNDS if count > 1 else 0):
        slope = [each - product for each, product in zip(inner, products)]
        toward = min(range(count), key=slope.__getitem__)
        away = max([k for k in range(count) if mix[k] > 0], key=slope.__getitem__)
        if slope[away] - slope[toward] < 1e-6:
            break
        curve = gram[toward][toward] - 2 * gram[toward][away] + gram[away][away]
        move = mix[away] if curve <= 0 else min(mix[away], (slope[away] - slope[toward]) / curve)
        mix[toward] += move
        mix[away] -= move
        inner = [each + move * (gram[toward][k] - gram[away][k]) for k, each in enumerate(inner)]
    return mix


def _spread(shares: Sequence[float], requests: int) -> float:
    """Of marks: each cell is a coin. One request says nothing of how others differ: as if it were the least even coin."""
    count = max(requests, 2)
    return sum([weight * share * (1 - share) for weight, share in zip(WEIGHTS, shares)]) / (count - 1)


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum([a * b for a, b in zip(one, other)])
