"""What the scripts share: named checks, comparisons, the truth, the rows of the gallery, the request they all send.

A script prints one line per check, `ok NAME` or `FAIL NAME: why`, and ends with the number of failures.
"""
import json
import math
import os
import sys
import traceback
import urllib.request

HOST = os.environ.get("QMESH_HOST", "127.0.0.1")
QIPC_PORT = int(os.environ["QMESH_QIPC_PORT"])
HTTP_PORT = int(os.environ["QMESH_HTTP_PORT"])
FLOAT_TOLERANCE = 1e-9

with open(os.environ["QMESH_TRUTH"], encoding="utf-8") as file:
    TRADE = json.load(file)["trade"]
with open(os.environ["QMESH_GALLERY"], encoding="utf-8") as file:
    _GALLERY = json.load(file)

DAYS = list(TRADE)
ROWS = sum(day["rows"] for day in TRADE.values())
# True where the mesh compresses answers for clients on its own host too.
COMPRESSED = os.environ.get("QMESH_GW_COMPRESS") == "always"
GALLERY = {column["name"]: (column["type"], column["values"]) for column in _GALLERY["columns"]}
BIG_ROWS = _GALLERY["big"]["rows"]
BIG_FLOATS = 10
# The aggregations every client asks for: new name, function, column or columns.
AGG = [
    ["n", "count", "price"],
    ["size", "sum", "size"],
    ["high", "max", "price"],
    ["low", "min", "price"],
    ["mean", "avg", "price"],
    ["vwap", "wavg", "size", "price"],
    ["open", "first", "price"],
    ["close", "last", "price"],
]

_failures = 0


class Mismatch(Exception):
    """A value is not what it should be."""


def compressed_answers():
    """How many answers the gateway has sent compressed."""
    with urllib.request.urlopen(f"http://{HOST}:{HTTP_PORT}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("qmesh_gw_compressed_total"))


def check(function):
    """Run `function` now as the check of its name; print how it went."""
    global _failures
    name = function.__name__.strip("_").replace("_", " ")
    try:
        function()
    except Exception as error:
        _failures += 1
        print(f"FAIL {name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}", flush=True)
        if not isinstance(error, Mismatch):
            traceback.print_exc(limit=-3)
    else:
        print(f"ok {name}", flush=True)
    return function


def finish():
    """End the script: failure where a check failed."""
    sys.exit(1 if _failures else 0)


def equal(got, expected, what):
    """`got` must be `expected`; floats to a relative 1e-9, NaN equals NaN."""
    if isinstance(got, float) and isinstance(expected, (int, float)):
        if math.isnan(got) and math.isnan(expected):
            return
        if math.isclose(got, expected, rel_tol=FLOAT_TOLERANCE, abs_tol=1e-12):
            return
    elif got == expected:
        return
    raise Mismatch(f"{what} is {got!r}, expected {expected!r}")


def expected_groups():
    """By symbol over all days, what AGG must give, in the order of AGG."""
    groups = {}
    for name in sorted(set().union(*(day["bySym"] for day in TRADE.values()))):
        parts = [day["bySym"][name] for day in TRADE.values() if name in day["bySym"]]
        count = sum(part["count"] for part in parts)
        size = sum(part["size"] for part in parts)
        groups[name] = [
            count,
            size,
            max(part["max"] for part in parts),
            min(part["min"] for part in parts),
            math.fsum(part["price"] for part in parts) / count,
            math.fsum(part["turnover"] for part in parts) / size,
            parts[0]["first"],
            parts[-1]["last"],
        ]
    return groups


def equal_groups(names, rows):
    """`names` and `rows` (lists in that order) of an answer must be sym and AGG, a row per symbol, ascending."""
    equal(list(names), ["sym"] + [agg[0] for agg in AGG], "columns")
    expected = expected_groups()
    equal([row[0] for row in rows], list(expected), "groups")
    for row in rows:
        for name, got, right in zip(names[1:], row[1:], expected[row[0]]):
            equal(got, right, f"{name} of {row[0]}")


def equal_column(name, got, convert):
    """A column of the gallery must be its rows, each made the client's own by `convert(type, raw)`."""
    type_name, values = GALLERY[name]
    equal(len(got), len(values), f"rows of {name}")
    for row, (item, raw) in enumerate(zip(got, values)):
        equal(item, convert(type_name, raw), f"{name}[{row}] ({type_name} {raw!r})")


def big_sum(k):
    """The sum of column `f{k}` of the table `big`."""
    whole, rest = divmod(BIG_ROWS, 1000)
    return float(whole * (999 * 1000 // 2) + rest * (rest - 1) // 2 + k * BIG_ROWS)
