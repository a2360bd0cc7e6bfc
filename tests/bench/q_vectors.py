"""A side of the bench `q-vectors`: `q_vectors.py numpy DIR`; the same vectors as `bench q-vectors`."""
import json
import os
import sys
import time

import numpy as np


def main():
    where = sys.argv[2]
    load = lambda name, kind: np.fromfile(os.path.join(where, name), dtype=kind)
    a, b, n = load("trade.price", "<f8"), load("vectors.b", "<f8"), load("trade.size", "<i8")
    codes, few, steps = load("trade.sym", "<u4").astype(np.int64), load("vectors.few", "<i8"), load("vectors.steps", "<f8")
    order = np.argsort(few, kind="stable")

    def group():
        by = np.argsort(codes, kind="stable")
        ends = np.flatnonzero(np.diff(codes[by])) + 1
        return np.split(by, ends)

    def find():
        at = np.searchsorted(few, n, sorter=order)
        at = order[np.minimum(at, len(few) - 1)]
        return np.where(few[at] == n, at, len(few))

    work = {
        "a+b": lambda: a + b,
        "2.5*a": lambda: 2.5 * a,
        "a>100": lambda: a > 100,
        "sum a": lambda: a.sum(),
        "sums n": lambda: np.cumsum(n),
        "max n": lambda: n.max(),
        "asc a": lambda: np.sort(a, kind="stable"),
        "iasc n": lambda: np.argsort(n, kind="stable"),
        "group codes": group,
        "n in few": lambda: np.isin(n, few),
        "few?n": find,
        "steps bin a": lambda: np.searchsorted(steps, a, side="right") - 1,
    }
    print("ready", flush=True)
    for _ in sys.stdin:
        taken = {}
        for name, f in work.items():
            start = time.perf_counter()
            f()
            taken[name] = (time.perf_counter() - start) * 1e3
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
