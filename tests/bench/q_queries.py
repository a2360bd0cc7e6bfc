"""A side of the bench `q`: `q_queries.py polars|duckdb THREADS DIR`.

DIR holds the columns as raw little-endian numbers, written by the side of qmesh (`bench q-table`): symbols as codes
with a text file of their names. Each turn answers all queries over 10 million rows in memory and reports each one's
milliseconds, and how many rows its answer has.
"""
import json
import os
import sys
import time

SIDE, THREADS, DIR = sys.argv[1:4]
if THREADS != "0":
    os.environ["POLARS_MAX_THREADS"] = THREADS

import numpy as np
import polars as pl


def column(table, name, kind):
    return np.fromfile(os.path.join(DIR, f"{table}.{name}"), dtype=kind)


def names(name):
    with open(os.path.join(DIR, f"{name}.names")) as file:
        return file.read().split()


def symbols(table, name):
    texts = np.array(names(name))[column(table, name, "<u4")]
    return pl.Series(name, texts).cast(pl.Enum(names(name)))


def frame(table, parts):
    columns = []
    for name, kind in parts:
        if kind == "sym":
            columns.append(symbols(table, name))
        elif kind == "time":
            columns.append(pl.Series(name, column(table, name, "<i8")).cast(pl.Datetime("ns")))
        else:
            columns.append(pl.Series(name, column(table, name, kind)))
    return pl.DataFrame(columns)


TRADE = [("time", "time"), ("sym", "sym"), ("ex", "sym"), ("price", "<f8"), ("size", "<i8"), ("cond", "sym")]
QUOTE = [("time", "time"), ("sym", "sym"), ("bid", "<f8"), ("ask", "<f8")]
FIFTY = names("sym")[100:150]
ONE = names("sym")[42]


def with_polars():
    trade, quote = frame("trade", TRADE), frame("quote", QUOTE)
    half = trade.height // 2
    first, second = trade[:half], trade[half:].drop("cond")
    c = pl.col
    lazy = trade.lazy()
    window = 300_000_000_000

    def get(query):
        return query.collect()

    return {
        "1": lambda: get(lazy.group_by("sym").agg(c("price").mean(), c("size").max()).sort("sym")),
        "2": lambda: get(lazy.group_by("ex").agg(pl.len()).sort("ex")),
        "3": lambda: get(lazy.filter(c("sym") == ONE)),
        "4": lambda: get(lazy.filter(c("sym").is_in(FIFTY) & (c("price") > 100))),
        "5": lambda: get(lazy.group_by("sym").agg((c("price") * c("size")).sum() / c("size").sum()).sort("sym")),
        "6": lambda: get(lazy.group_by(c("time").dt.truncate("5m"), "sym").agg(c("price").last()).sort("time", "sym")),
        "7": lambda: get(lazy.filter(c("price") == c("price").max().over("sym"))),
        "8": lambda: get(lazy.join_asof(quote.lazy(), on="time", by="sym", check_sortedness=False)),
        "10": lambda: pl.concat([first, second], how="diagonal", rechunk=True),
        "11": lambda: get(lazy.select("sym", "ex").unique()),
        "12": lambda: get(lazy.top_k(100, by="price")),
        "13": lambda: get(lazy.group_by("sym").agg(c("price").diff()).sort("sym")),
        "14": lambda: get(lazy.group_by("sym").agg(c("price").std(ddof=0).alias("dev"), pl.corr("price", "size").alias("cor")).sort("sym")),
        "15": lambda: get(lazy.group_by("sym").agg(c("size").cum_sum()).sort("sym")),
        "16": lambda: get(lazy.filter(c("cond").cast(pl.String).str.starts_with("A")).group_by("ex").agg(pl.len()).sort("ex")),
    }


def with_duckdb():
    import duckdb

    trade, quote = frame("trade", TRADE), frame("quote", QUOTE)
    connection = duckdb.connect()
    if THREADS != "0":
        connection.execute(f"set threads = {THREADS}")
    for name in ("sym", "ex", "cond"):
        listed = ", ".join(f"'{n}'" for n in names(name))
        connection.execute(f"create type {name}_names as enum ({listed})")
    connection.execute(
        "create table trade as select time, sym::sym_names sym, ex::ex_names ex, price, size, cond::cond_names cond from trade"
    )
    connection.execute("create table quote as select time, sym::sym_names sym, bid, ask from quote")
    half = trade.height // 2
    del trade, quote
    connection.execute(f"create table first as select * from trade limit {half}")
    connection.execute(f"create table second as select * exclude (cond) from trade offset {half}")
    connection.execute("create table few as select time, sym from trade where rowid % (select count(*) // 100000 from trade) = 0 limit 100000")
    fifty = ", ".join(f"'{n}'" for n in FIFTY)
    sql = {
        "1": "select sym, avg(price), max(size) from trade group by sym order by sym",
        "2": "select ex, count(*) from trade group by ex order by ex",
        "3": f"select * from trade where sym = '{ONE}'",
        "4": f"select * from trade where sym in ({fifty}) and price > 100",
        "5": "select sym, sum(price * size) / sum(size) from trade group by sym order by sym",
        "6": "select time_bucket(interval '5 minutes', time) t, sym, last(price) from trade group by all order by t, sym",
        "7": "select * from trade qualify price = max(price) over (partition by sym)",
        "8": "select t.*, q.bid, q.ask from trade t asof left join quote q on t.sym = q.sym and t.time >= q.time",
        "9": "select s.time, s.sym, max(q.ask), min(q.bid) from few s left join quote q on s.sym = q.sym"
        " and q.time between s.time - interval '2 seconds' and s.time group by s.time, s.sym",
        "10": "select * from first union all by name select * from second",
        "11": "select distinct sym, ex from trade",
        "12": "select * from trade order by price desc limit 100",
        "13": "select sym, price - lag(price) over (partition by sym order by rowid) from trade",
        "14": "select sym, stddev_pop(price), corr(price, size) from trade group by sym order by sym",
        "15": "select sym, sum(size) over (partition by sym order by rowid) from trade",
        "16": "select ex, count(*) from trade where cond like 'A%' group by ex order by ex",
    }
    return {name: (lambda text=text: connection.execute(text).to_arrow_table()) for name, text in sql.items()}


def main():
    queries = {"polars": with_polars, "duckdb": with_duckdb}[SIDE]()
    print("ready", flush=True)
    for _ in sys.stdin:
        taken = {}
        for name, query in queries.items():
            start = time.perf_counter()
            answer = query()
            taken[name] = (time.perf_counter() - start) * 1e3
            taken[f"{name} rows"] = len(answer)
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
