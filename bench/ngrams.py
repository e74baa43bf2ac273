"""A small language model for the watermark's bench: interpolated n-grams of a stream of tokens, sampled with a bias."""

import math
from bisect import bisect
from collections import Counter, defaultdict
from functools import cache
from itertools import accumulate


class Ngrams:
    """Interpolated n-grams. Each order is biased by itself and weighed by its new mass: that biases the mixture exactly."""

    def __init__(self, stream, weights):
        self.weights = weights
        self.counts = [defaultdict(Counter) for _ in weights]
        for order, counts in enumerate(self.counts):
            for at in range(order, len(stream)):
                counts[tuple(stream[at - order : at])][stream[at]] += 1
        self.totals = [{context: found.total() for context, found in counts.items()} for counts in self.counts]

    def sampler(self, factor, green_ids, rng):
        """A function that gives a text's next token, where green ones are `factor` times as likely as they were."""

        @cache
        def biased(order, context):
            if (counts := self.counts[order].get(context)) is None:
                return None
            sums = list(accumulate(count * (factor if token in green_ids else 1.0) for token, count in counts.items()))
            return list(counts), sums, self.weights[order] * sums[-1] / self.totals[order][context]

        def draw(text):
            known = [found for order in range(len(self.weights)) if (found := biased(order, tuple(text[len(text) - order :])))]
            at = rng.random() * sum(mass for _, _, mass in known)
            for tokens, sums, mass in known:  # noqa: B007  # the last one looked at is the one that is drawn from
                if at < mass:
                    break
                at -= mass
            return tokens[min(bisect(sums, at / mass * sums[-1]), len(tokens) - 1)]

        return draw

    def bits(self, text):
        """Mean bits a token of a text under the unbiased model."""
        bits = 0.0
        for at in range(2, len(text)):
            chance = weight = 0.0
            for order, counts in enumerate(self.counts):
                context = tuple(text[at - order : at])
                if (found := counts.get(context)) is not None:
                    chance += self.weights[order] * found[text[at]] / self.totals[order][context]
                    weight += self.weights[order]
            bits -= math.log2(max(chance / weight, 1e-12))
        return bits / (len(text) - 2)
