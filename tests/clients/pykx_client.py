"""PyKX 4.2.0 without a licence: KX's own serialisation on both ends, so that values are compared byte for byte."""
import asyncio
import json
import math
import os
import uuid
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pykx as kx
from checks import AGG, BIG_FLOATS, BIG_ROWS, DAYS, GALLERY, HOST, QIPC_PORT, TRADE, Mismatch
from checks import big_sum, check, equal, equal_column, equal_groups, finish

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/qipc-vectors.json")
CONNECT = {"host": HOST, "port": QIPC_PORT, "username": "user", "password": "pass"}
NO_CALLBACK = kx.SymbolAtom("")
FLOATS = {"null": math.nan, "inf": math.inf, "-inf": -math.inf}


def call(connection, api, args, opts=None):
    """The header (as Python has it) and the payload (still K) of a call that must succeed."""
    answer = connection(kx.SymbolAtom(api), args, NO_CALLBACK, opts or {})
    header = answer._unlicensed_getitem(0).py()
    equal((header["rc"], header["ac"]), (0, 0), f"rc and ac ({header['ai']!r})")
    return header, answer._unlicensed_getitem(1)


def day_args(n, **more):
    """One day of trades."""
    start = datetime.strptime(DAYS[n], "%Y.%m.%d")
    return {"table": "trade", "startTS": start, "endTS": start + timedelta(days=1), **more}


q = kx.SyncQConnection(**CONNECT, no_ctx=True)


@check
def ping():
    header, payload = call(q, ".kxi.ping", {})
    equal(len(payload) > 0 and all(payload.py()), True, f"payload {payload.py()!r}")
    equal(isinstance(header["corr"], uuid.UUID), True, "corr is a guid")


@check
def default_connect_with_its_probes():
    with kx.SyncQConnection(**CONNECT) as connection:
        call(connection, ".kxi.ping", {})


@check
def one_day_of_trades():
    payload = call(q, ".kxi.getData", day_args(0))[1].pd()
    truth = TRADE[DAYS[0]]
    equal(len(payload), truth["rows"], "rows")
    equal(int(payload["size"].sum()), truth["size"], "sum of size")
    equal(float(payload["price"].sum()), truth["price"], "sum of price")
    equal(payload["time"].min() >= pd.Timestamp(day_args(0)["startTS"]), True, "the first time is in the range")


@check
def filter_and_columns_to_select():
    payload = call(q, ".kxi.getData", day_args(1, filter=[[">=", "size", 90]], agg=["time", "size"]))[1].pd()
    equal(len(payload), TRADE[DAYS[1]]["size90"], "rows")
    equal(list(payload.columns), ["time", "size"], "columns")


@check
def group_by_over_all_days():
    payload = call(q, ".kxi.getData", {"table": "trade", "groupBy": "sym", "agg": AGG})[1].pd()
    equal_groups(list(payload.columns), [[str(row[0]), *row[1:]] for row in payload.values.tolist()])


@check
def errors_name_what_was_wrong():
    answer = q(kx.SymbolAtom(".kxi.getData"), {"table": "no_such_table"}, NO_CALLBACK, {})
    header = answer._unlicensed_getitem(0).py()
    equal((header["rc"], header["ac"], len(answer._unlicensed_getitem(1))), (56, 27, 0), "rc, ac and payload")
    equal(b"no_such_table" in header["ai"], True, f"ai names the table: {header['ai']!r}")
    answer = q(kx.SymbolAtom(".kxi.getData"), {"table": "trade", "startTS": "yesterday"}, NO_CALLBACK, {})
    header = answer._unlicensed_getitem(0).py()
    equal((header["rc"], header["ac"]), (5, 23), "rc and ac of bad arguments")


@check
def what_is_no_request_is_a_q_error():
    try:
        answer = q("1+1")
    except kx.QError:
        call(q, ".kxi.ping", {})
        return
    raise Mismatch(f"a text query was answered by {answer!r}")


@check
def several_outstanding_requests():
    async def many(count):
        async with kx.AsyncQConnection(**CONNECT, no_ctx=True) as connection:
            api = kx.SymbolAtom(".kxi.getData")
            calls = [connection(api, {"table": "trade", "limit": n + 1}, NO_CALLBACK, {"appN": n}) for n in range(count)]
            return await asyncio.gather(*calls)

    for n, answer in enumerate(asyncio.run(many(20))):
        header = answer._unlicensed_getitem(0).py()
        equal((header["appN"], len(answer._unlicensed_getitem(1).pd())), (n, n + 1), "appN and rows")


def client_value(type_name, raw):
    """What PyKX gives raw: the numbers as q holds them."""
    if type_name in ("real", "float", "datetime"):
        return FLOATS.get(raw, raw)
    if type_name in ("symbol", "string"):
        return raw.encode()
    if type_name == "char":
        return ord(raw)
    if type_name == "boolean":
        return bool(raw)
    bits = {"short": 16, "long": 64, "timestamp": 64, "timespan": 64}.get(type_name, 32)
    top = 2 ** (bits - 1)
    return {"null": -top, "inf": top - 1, "-inf": 1 - top}.get(raw, raw)


@check
def every_type_in_a_table():
    _, payload = call(q, ".kxi.getData", {"table": "gallery", "sortCols": "time"})
    columns = {name.decode(): column for name, column in payload.py(raw=True).items()}
    for name, (type_name, _) in GALLERY.items():
        # Raw guids are complex numbers to PyKX; they are looked at below.
        if type_name != "guid":
            equal_column(name, list(columns[name]), client_value)
    _, payload = call(q, ".kxi.getData", {"table": "gallery", "sortCols": "time", "agg": ["time", "guids"]})
    equal_column("guids", payload.py()["guids"], lambda _, raw: uuid.UUID(raw))


def echoed():
    """Values of every type, by name: PyKX's own conversions, and all messages of the test vectors it can read."""
    day = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
    values = {
        "Boolean": True, "Long": 5, "Float": 1.5, "Symbol": "a symbol", "Chars": b"a string", "Guid": uuid.uuid4(),
        "Timestamp": datetime(2024, 1, 1), "Date": datetime(2024, 1, 1).date(), "Timespan": timedelta(seconds=5),
        "Identity": None, "Short": kx.ShortAtom(5), "Int": kx.IntAtom(5), "Byte": kx.ByteAtom(5), "Real": kx.RealAtom(1.5),
        "NullLong": kx.LongAtom.null, "NullTimestamp": kx.TimestampAtom.null, "InfTimestamp": kx.TimestampAtom.inf,
        "MinusInfLong": kx.LongAtom.inf_neg, "Booleans": np.array([True, False]), "Bytes": np.array([1, 255], dtype=np.uint8),
        "Shorts": np.array([1, -(2**15)], dtype=np.int16), "Ints": np.array([1, -(2**31)], dtype=np.int32),
        "Longs": np.array([1, -(2**63)]), "Reals": np.array([1.5, np.nan, np.inf], dtype=np.float32),
        "Floats": np.array([1.5, np.nan, -np.inf]), "Symbols": kx.SymbolVector(["a", "", "b c"]), "Dates": day,
        "Timestamps": day.astype("datetime64[ns]"), "Months": day.astype("datetime64[M]"),
        "Timespans": np.array([5], dtype="timedelta64[ns]"), "Minutes": np.array([5], dtype="timedelta64[m]"),
        "Seconds": np.array([5], dtype="timedelta64[s]"), "Times": np.array([5], dtype="timedelta64[ms]"),
        "List": [1, 2.5, "x", b"abc", [True]], "Dict": {"a": 1, "b": "x"}, "Empty": {},
        "Table": pd.DataFrame({"a": [1, 2], "b": [1.5, 2.5], "s": ["x", "y"]}),
    }
    sent = {f"app{name}": kx.toq(value) for name, value in values.items()}
    with open(VECTORS, encoding="utf-8") as file:
        messages = json.load(file)["messages"]
    for n, message in enumerate(messages):
        # Vectors that KX's C API re-encodes as they are: little endian, and no error.
        if message.get("capi_roundtrip_identical"):
            sent[f"appVector{n}"] = kx.deserialize(bytes.fromhex(message["hex"]))
    return sent


@check
def every_type_comes_back_byte_for_byte_in_the_header():
    sent = echoed()
    equal(len(sent) > 60, True, f"{len(sent)} values to send")
    answer = q(kx.SymbolAtom(".kxi.ping"), {}, NO_CALLBACK, sent)
    header = answer._unlicensed_getitem(0)
    got = dict(zip(header._keys.py(), range(len(header._keys))))
    wrong = []
    for name, value in sent.items():
        back = bytes(kx.serialize(header._values._unlicensed_getitem(got[name])))
        if back != bytes(kx.serialize(value)):
            wrong.append(f"{name}: {back.hex()} for {bytes(kx.serialize(value)).hex()}")
    equal(wrong, [], "values that changed")


@check
def hundred_megabytes():
    payload = call(q, ".kxi.getData", {"table": "big"})[1].pd()
    equal(len(payload), BIG_ROWS, "rows")
    for k in range(BIG_FLOATS):
        equal(float(payload[f"f{k}"].sum()), big_sum(k), f"sum of f{k}")


finish()
