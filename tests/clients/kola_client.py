"""kola 2.6.1 (Rust core, polars frames) against a running mesh."""
import math
from datetime import date, datetime, time, timedelta, timezone

import kola
import polars as pl
from checks import AGG, BIG_FLOATS, BIG_ROWS, COMPRESSED, DAYS, GALLERY, HOST, QIPC_PORT, TRADE, Mismatch
from checks import big_sum, check, compressed_answers, equal, equal_column, equal_groups, finish

# kola cannot send an empty dictionary; a header field stands in, and a table where arguments are not needed.
NOTHING = {"appNothing": 0}
# Nanoseconds, and days, from 1970, which polars counts from, to 2000, which q counts from.
EPOCH_DAYS = 10957
DAY = 86_400_000_000_000
# What kola makes of q's infinite dates: the ends of what polars can hold.
DATE_ENDS = {"inf": 95026601, "-inf": -96465658}


def connect():
    """A connection, opened."""
    connection = kola.Q(HOST, QIPC_PORT, "user", "pass", timeout=300)
    connection.connect()
    return connection


def call(connection, api, args, opts=NOTHING):
    """The header and the payload of a call that must succeed."""
    header, payload = connection.sync(api, args, "", opts)
    equal((header["rc"], header["ac"]), (0, 0), f"rc and ac ({header['ai']!r})")
    return header, payload


def day_args(n, **more):
    """One day of trades."""
    start = datetime.strptime(DAYS[n], "%Y.%m.%d").replace(tzinfo=timezone.utc)
    return {"table": "trade", "startTS": start, "endTS": start + timedelta(days=1), **more}


def symbols(names):
    """A symbol vector."""
    return pl.Series(names, dtype=pl.Categorical)


q = connect()


@check
def ping():
    header, payload = call(q, ".kxi.ping", {"table": "trade"})
    equal(payload.dtype == pl.Boolean and len(payload) > 0 and payload.all(), True, f"payload {payload!r}")
    equal({"rcvTS", "corr", "logCorr", "api", "agg"} <= set(header), True, f"keys of the header {list(header)}")


@check
def one_day_of_trades():
    _, payload = call(q, ".kxi.getData", day_args(0))
    truth = TRADE[DAYS[0]]
    equal(payload.height, truth["rows"], "rows")
    equal(payload["size"].sum(), truth["size"], "sum of size")
    equal(payload["price"].sum(), truth["price"], "sum of price")


@check
def filter_and_columns_to_select():
    _, payload = call(q, ".kxi.getData", day_args(1, filter=[[">=", "size", 90]], agg=["time", "size"]))
    equal(payload.height, TRADE[DAYS[1]]["size90"], "rows")
    equal(payload.columns, ["time", "size"], "columns")


@check
def group_by_over_all_days():
    args = {"table": "trade", "groupBy": "sym", "agg": [symbols(agg) for agg in AGG]}
    _, payload = call(q, ".kxi.getData", args)
    equal_groups(payload.columns, [list(row) for row in payload.rows()])


@check
def group_by_as_lists_of_atoms():
    _, payload = call(q, ".kxi.getData", {"table": "trade", "groupBy": ["sym"], "agg": AGG})
    equal_groups(payload.columns, [list(row) for row in payload.rows()])


@check
def errors_name_what_was_wrong():
    header, payload = q.sync(".kxi.getData", {"table": "no_such_table"}, "", NOTHING)
    equal((header["rc"], header["ac"], len(payload)), (56, 27, 0), "rc, ac and payload")
    equal("no_such_table" in header["ai"], True, f"ai names the table: {header['ai']!r}")
    header, _ = q.sync(".kxi.getData", {"table": "trade", "startTS": "yesterday"}, "", NOTHING)
    equal((header["rc"], header["ac"]), (5, 23), "rc and ac of bad arguments")


@check
def what_is_no_request_is_a_q_error():
    try:
        answer = q.sync("1+1")
    except kola.KolaError:
        call(q, ".kxi.ping", {"table": "trade"})
        return
    raise Mismatch(f"a text query was answered by {answer!r}")


@check
def asynchronous_call_with_callback():
    other = connect()
    other.asyn(".kxi.ping", {"table": "trade"}, "onPing", {"appCorr": 7})
    callback, header, payload = other.receive()
    other.disconnect()
    equal((callback, header["rc"], header["appCorr"]), ("onPing", 0, 7), "callback, rc, appCorr")
    equal(len(payload) > 0, True, "payload")


@check
def several_outstanding_requests():
    other, count = connect(), 20
    for n in range(count):
        other.asyn(".kxi.getData", {"table": "trade", "limit": n + 1}, "onData", {"appN": n})
    # The answers of asynchronous calls come as they are ready, each exactly once.
    answers = [other.receive() for _ in range(count)]
    other.disconnect()
    rows = sorted((header["appN"], payload.height) for _, header, payload in answers)
    equal(rows, [(n, n + 1) for n in range(count)], "appN and rows")


def client_value(type_name, raw):
    """What kola makes of a value: nulls and infinities of whole numbers are null, temporal ones are polars'."""
    if type_name in ("real", "float"):
        return {"null": None, "inf": math.inf, "-inf": -math.inf}.get(raw, raw)
    if type_name == "guid":
        return bytes.fromhex(raw.replace("-", ""))
    if type_name == "boolean":
        return bool(raw)
    if type_name in ("minute", "second", "time"):
        unit = {"minute": 60 * 10**9, "second": 10**9, "time": 10**6}[type_name]
        return {"null": None, "inf": DAY - 1, "-inf": 0}.get(raw, raw if isinstance(raw, str) else raw * unit)
    if raw == "null":
        return None
    if type_name == "date":
        return DATE_ENDS[raw] if raw in DATE_ENDS else raw + EPOCH_DAYS
    if type_name == "datetime":
        ends = {"inf": 2**63 - 1, "-inf": 1 - 2**63}
        return ends[raw] if raw in ends else int((raw + EPOCH_DAYS) * DAY)
    if type_name == "timestamp":
        # kola adds the epoch and stays within 64 bits.
        ends = {"inf": 2**63 - 1, "-inf": 1 - 2**63 + EPOCH_DAYS * DAY}
        return ends[raw] if raw in ends else raw + EPOCH_DAYS * DAY
    if type_name == "timespan":
        return {"inf": 2**63 - 1, "-inf": 1 - 2**63}.get(raw, raw)
    return None if raw in ("inf", "-inf") else raw


@check
def every_type_in_a_table():
    # kola refuses months.
    names = [name for name, (type_name, _) in GALLERY.items() if type_name != "month"]
    _, payload = call(q, ".kxi.getData", {"table": "gallery", "sortCols": "time", "agg": symbols(names)})
    equal(payload.columns, names, "columns")
    for name in names:
        column = payload[name]
        physical = column.to_physical() if column.dtype.is_temporal() else column
        equal_column(name, physical.to_list(), client_value)


def echoed():
    """Values of every type that kola can send and reads back as the same, by name."""
    series = {
        "Booleans": ([True, False], pl.Boolean), "Bytes": ([0, 255], pl.UInt8), "Shorts": ([1, None, -3], pl.Int16),
        "Ints": ([1, None, -3], pl.Int32), "Longs": ([1, None, -3], pl.Int64), "Reals": ([1.5, None, math.inf], pl.Float32),
        "Floats": ([1.5, None, -math.inf], pl.Float64), "Symbols": (["a", "", "b c"], pl.Categorical),
        "Strings": (["a", "", "b c"], pl.String), "Dates": ([date(2024, 1, 1), None], pl.Date),
        "Timestamps": ([datetime(2024, 1, 1, 1, 2, 3, 4), None], pl.Datetime("ns")),
        "Timespans": ([timedelta(days=1, seconds=5), None], pl.Duration("ns")), "Times": ([time(1, 2, 3), None], pl.Time),
    }
    values = {f"app{name}": pl.Series(items, dtype=dtype) for name, (items, dtype) in series.items()}
    values["appTable"] = pl.DataFrame({"a": [1, None], "b": [1.5, math.inf], "c": ["x", "y z"]})
    values.update(
        appBoolean=True, appLong=5, appFloat=1.5, appInfinity=math.inf, appSymbol="a symbol", appList=[1, 2.5, "x"],
        appTimestamp=datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=timezone.utc), appDate=date(2024, 1, 1), appTime=time(1, 2, 3),
        appTimespan=timedelta(seconds=5), appDict={"a": 1, "b": "x", "c": [1, "y"]},
    )
    return values


def same(got, sent):
    """Whether a value came back as it went."""
    if isinstance(sent, pl.Series):
        return isinstance(got, pl.Series) and got.dtype == sent.dtype and got.to_list() == sent.to_list()
    if isinstance(sent, pl.DataFrame):
        return got.equals(sent)
    if isinstance(sent, dict):
        return list(got) == list(sent) and all(same(got[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return got == tuple(sent)
    return got == sent and type(got) is type(sent)


@check
def every_type_comes_back_in_the_header():
    sent = echoed()
    header, _ = call(q, ".kxi.ping", {"table": "trade"}, {**sent, "appText": b"a string"})
    wrong = [f"{key}: {header[key]!r} for {value!r}" for key, value in sent.items() if not same(header[key], value)]
    equal(wrong, [], "values that changed")
    equal(header["appText"], "a string", "text")


@check
def a_long_answer_is_compressed_where_it_is_to_be():
    before = compressed_answers()
    _, payload = call(q, ".kxi.getData", day_args(1, agg=["sym", "size"]))
    truth = TRADE[DAYS[1]]
    equal((payload.height, payload["size"].sum()), (truth["rows"], truth["size"]), "rows and sum of size")
    equal(compressed_answers() - before, int(COMPRESSED), "answers that left compressed")


@check
def hundred_megabytes():
    _, payload = call(q, ".kxi.getData", {"table": "big"})
    equal(payload.height, BIG_ROWS, "rows")
    for k in range(BIG_FLOATS):
        equal(payload[f"f{k}"].sum(), big_sum(k), f"sum of f{k}")


finish()
