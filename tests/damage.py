"""Damaged copies of a text file, as disks, editors and transfers make them."""

import random


def damaged_copies(text, n, seed):
    """Yield damaged copies: cut, with other bytes, with lines lost or exchanged."""
    source = random.Random(seed)
    alphabet = "0123456789.,-+eE[]{}:#&*!|>'\"% \n\tNaClxyz\x00\u00e9\u2028"
    for _ in range(n):
        kind = source.randrange(4)
        if kind == 0:
            yield text[: source.randrange(len(text))]
        elif kind == 1:
            damaged = list(text)
            for _ in range(source.choice((1, 1, 2, 5, 20))):
                damaged[source.randrange(len(text))] = source.choice(alphabet)
            yield "".join(damaged)
        elif kind == 2:
            start = source.randrange(len(text))
            yield text[:start] + text[start + source.randrange(1, 40) :]
        else:
            lines = text.splitlines()
            one, other = (source.randrange(len(lines)) for _ in range(2))
            lines[one], lines[other] = lines[other], lines[one]
            yield "\n".join(lines)
