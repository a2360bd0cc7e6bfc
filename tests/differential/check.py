"""DuckDB's answers to the requests of `query::differential`, against qmesh's: `check.py FOLDER`.

The folder holds `rows.json` (a row a line; times as numbers), `requests.json` (a request a line: the JSON that was
asked, the same in SQL, qmesh's answer) and `seed.txt`. One line for each hundred requests, and one for each that
differs: `ok NAME` or `FAIL NAME: why`.
"""

import json
import math
import pathlib
import sys

import duckdb

TEXTS = {"sym", "c", "g", "s"}
OTHERS = {"b": "BOOLEAN", "e": "FLOAT", "f": "DOUBLE", "y": "DOUBLE"}
BATCH = 100
MOST_SHOWN = 20


def column_type(name):
    return "VARCHAR" if name in TEXTS else OTHERS.get(name, "BIGINT")


def same(ours, theirs, is_real):
    """Equal; floats to 1e-9 of their size, reals to the digits they have. What is not finite is null to both."""
    if isinstance(theirs, float) and not math.isfinite(theirs):
        theirs = None
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, float) or isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6 if is_real else 1e-9, abs_tol=1e-9)
    return ours == theirs


def by_keys(rows, keys):
    def key(row):
        return [(cell is not None, cell if cell is not None else 0) for cell in row[:keys]]

    return sorted(rows, key=key)


def difference(connection, request):
    ours = request["rows"]
    cursor = connection.execute(request["sql"])
    reals = [str(column[1]) == "FLOAT" for column in cursor.description]
    theirs = [list(row) for row in cursor.fetchall()]
    asked = json.loads(request["request"])
    keys = len(asked.get("groupBy", []))
    is_rows = not isinstance(asked["agg"][0], list)
    if not is_rows and keys == 0 and not theirs:
        # Aggregates over no rows: q's neutral values, where SQL has nulls.
        return None
    if not request["ordered"]:
        ours, theirs = by_keys(ours, keys), by_keys(theirs, keys)
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, DuckDB {len(theirs)}"
    for number, (one, other) in enumerate(zip(ours, theirs)):
        if not all(same(a, b, real) for a, b, real in zip(one, other, reals)):
            return f"row {number} is {one}, DuckDB's {other}"
    return None


def main():
    folder = pathlib.Path(sys.argv[1])
    seed = (folder / "seed.txt").read_text()
    connection = duckdb.connect()
    rows = folder / "rows.json"
    with rows.open() as lines:
        names = list(json.loads(next(lines)))
    columns = ", ".join(f"{name}: '{column_type(name)}'" for name in names)
    source = f"read_json('{rows}', format='newline_delimited', columns={{{columns}}})"
    connection.execute(f"CREATE TABLE t AS SELECT * FROM {source}")
    failed, good, number = 0, 0, 0
    with (folder / "requests.json").open() as lines:
        for number, line in enumerate(lines, 1):
            request = json.loads(line)
            try:
                why = difference(connection, request)
            except duckdb.Error as error:
                why = f"DuckDB: {error}"
            if why is None:
                good += 1
            else:
                failed += 1
                if failed <= MOST_SHOWN:
                    print(f"FAIL request {request['n']} of seed {seed}: {why}; {request['request']}; {request['sql']}")
            if number % BATCH == 0:
                print(f"ok {good} of {number} requests of seed {seed} agree with DuckDB {duckdb.__version__}")
    if number == 0:
        print("FAIL requests: there are none")
    sys.exit(1 if failed or number == 0 else 0)


main()
