"""A side of the bench `group-by`: `group_by.py qmesh|duckdb|polars PARQUET`.

All sides answer the same question over the same rows, warm, in a process of their own, and give it to Python as
a polars frame. The qmesh side asks a running mesh through kola and writes the Parquet file for the others.
"""
import json
import os
import sys
import time

import duckdb
import kola
import polars as pl

QUESTION = [["mean", "avg", "price"], ["high", "max", "price"], ["close", "last", "price"]]


def qmesh(parquet):
    """Ask the mesh."""
    connection = kola.Q("127.0.0.1", int(os.environ["QMESH_QIPC_PORT"]), "bench")
    connection.connect()
    opts = {"appBench": True}

    def get(args):
        header, payload = connection.sync(".kxi.getData", args, "", opts)
        assert header["rc"] == 0, header["ai"]
        return payload

    rows = get({"table": "trade"})
    rows.with_columns(pl.col("sym").cast(pl.String)).write_parquet(parquet)
    args = {"table": "trade", "groupBy": "sym", "agg": QUESTION}
    return lambda: get(args)


def with_duckdb(parquet):
    """Ask DuckDB; its own threads, its own cache of the file."""
    connection = duckdb.connect()
    connection.execute("set enable_object_cache = true")
    sql = f"select sym, avg(price) mean, max(price) high, arg_max(price, time) as close from '{parquet}' group by sym order by sym"
    return lambda: connection.execute(sql).fetchall()


def with_polars(parquet):
    """Ask Polars, lazily."""
    price = pl.col("price")
    aggs = [price.mean().alias("mean"), price.max().alias("high"), price.last().alias("close")]
    return lambda: pl.scan_parquet(parquet).group_by("sym").agg(aggs).sort("sym").collect()


def main():
    side, parquet = sys.argv[1:3]
    work = {"qmesh": qmesh, "duckdb": with_duckdb, "polars": with_polars}[side](parquet)
    assert len(work()) == 10, "the answer has a row per symbol"
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print(json.dumps({"milliseconds": (time.perf_counter() - start) * 1e3}), flush=True)


if __name__ == "__main__":
    main()
