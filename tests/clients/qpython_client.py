"""qPython 2.0.0 against a running mesh; the octet-stream form of REST is decoded by its reader as well."""
import subprocess
import uuid

import numpy as np
from checks import AGG, BIG_FLOATS, BIG_ROWS, COMPRESSED, DAYS, GALLERY, HOST, HTTP_PORT, QIPC_PORT, ROWS, TRADE, Mismatch
from checks import big_sum, check, compressed_answers, equal, equal_column, equal_groups, finish
from qpython import qtype as qt
from qpython.qcollection import QDictionary, QKeyedTable, QTable, qlist, qtable
from qpython.qconnection import MessageType, QConnection
from qpython.qreader import QReader
from qpython.qtemporal import QTemporal, from_raw_qtemporal, qtemporal
from qpython.qtype import QException

NULL = {16: -(2**15), 32: -(2**31), 64: -(2**63)}
BITS = {"short": 16, "int": 32, "long": 64, "timestamp": 64, "timespan": 64}


def sym(name):
    """A symbol; a plain str would be a string."""
    return np.string_(name.encode())


def mapping(**values):
    """A dictionary with symbol keys and a general list of values."""
    keys = qlist([sym(key) for key in values] if values else np.array([], dtype="S1"), qtype=qt.QSYMBOL_LIST)
    return QDictionary(keys, list(values.values()))


def start_of(day):
    """Midnight, as a timestamp."""
    return np.datetime64(day.replace(".", "-") + "T00:00:00.000000000", "ns")


def day_args(n, **more):
    """One day of trades."""
    start = start_of(DAYS[n])
    return mapping(table=sym("trade"), startTS=start, endTS=start + np.timedelta64(1, "D"), **more)


def aggregations():
    """AGG as a list of symbol vectors."""
    return [qlist([sym(part) for part in agg], qtype=qt.QSYMBOL_LIST) for agg in AGG]


def connect():
    """A connection, opened."""
    connection = QConnection(HOST, QIPC_PORT, "user", "pass", timeout=300)
    connection.open()
    return connection


def call(connection, api, args, opts=None):
    """The header and the payload of a call that must succeed."""
    header, payload = connection.sendSync(sym(api), args, sym(""), opts or mapping())
    equal((int(header[b"rc"]), int(header[b"ac"])), (0, 0), f"rc and ac ({header[b'ai']!r})")
    return header, payload


def client_value(type_name, raw):
    """What qPython makes of a value: the numbers as q holds them."""
    if type_name == "guid":
        return uuid.UUID(raw)
    if type_name in ("symbol", "string"):
        return raw.encode()
    if type_name == "char":
        return raw
    if type_name == "boolean":
        return bool(raw)
    if type_name in ("real", "float", "datetime"):
        return {"null": float("nan"), "inf": float("inf"), "-inf": float("-inf")}.get(raw, raw)
    bits = BITS.get(type_name, 32)
    top = 2 ** (bits - 1)
    return {"null": -top, "inf": top - 1, "-inf": 1 - top}.get(raw, raw)


def items(column, type_name):
    """The items of a column as plain Python values."""
    if type_name == "char":
        return [c.decode() if isinstance(c, bytes) else c for c in np.asarray(column).tolist()]
    if type_name == "byte":
        return [int(value) & 0xFF for value in np.asarray(column)]
    if type_name in ("string", "symbol", "guid"):
        return list(column)
    return np.asarray(column).tolist()


q = connect()


@check
def ping():
    header, payload = call(q, ".kxi.ping", mapping())
    equal(all(payload) and len(payload) > 0, True, f"payload {payload!r}")
    equal({b"rcvTS", b"corr", b"logCorr", b"api", b"agg"} <= set(header.keys), True, f"keys of the header {header.keys!r}")


@check
def one_day_of_trades():
    _, payload = call(q, ".kxi.getData", day_args(0))
    truth = TRADE[DAYS[0]]
    equal(len(payload), truth["rows"], "rows")
    equal(int(payload["size"].sum()), truth["size"], "sum of size")
    equal(float(payload["price"].sum()), truth["price"], "sum of price")


@check
def filter_and_columns_to_select():
    condition = [[sym(">="), sym("size"), np.int32(90)]]
    columns = qlist([sym("time"), sym("size")], qtype=qt.QSYMBOL_LIST)
    _, payload = call(q, ".kxi.getData", day_args(1, filter=condition, agg=columns))
    equal(len(payload), TRADE[DAYS[1]]["size90"], "rows")
    equal(payload.dtype.names, ("time", "size"), "columns")


@check
def group_by_over_all_days():
    args = mapping(table=sym("trade"), groupBy=sym("sym"), agg=aggregations())
    _, payload = call(q, ".kxi.getData", args)
    equal(isinstance(payload, QTable), True, "the payload is a plain table")
    rows = [[row[0].decode(), *(value.item() for value in list(row)[1:])] for row in payload]
    equal_groups(payload.dtype.names, rows)


@check
def name_of_the_api_as_text():
    header, payload = q.sendSync(".kxi.getData", mapping(table=sym("trade"), limit=5), sym(""), mapping())
    equal((int(header[b"rc"]), len(payload)), (0, 5), "rc and rows")


@check
def errors_name_what_was_wrong():
    header, payload = q.sendSync(sym(".kxi.getData"), mapping(table=sym("no_such_table")), sym(""), mapping())
    equal((int(header[b"rc"]), int(header[b"ac"]), len(payload)), (56, 27, 0), "rc, ac and payload")
    equal(b"no_such_table" in header[b"ai"], True, f"ai names the table: {header[b'ai']!r}")
    bad = mapping(table=sym("trade"), startTS=sym("yesterday"))
    header, _ = q.sendSync(sym(".kxi.getData"), bad, sym(""), mapping())
    equal((int(header[b"rc"]), int(header[b"ac"])), (5, 23), "rc and ac of bad arguments")


@check
def what_is_no_request_is_a_q_error():
    try:
        answer = q.sendSync("1+1")
    except QException:
        call(q, ".kxi.ping", mapping())
        return
    raise Mismatch(f"a text query was answered by {answer!r}")


@check
def asynchronous_call_with_callback():
    with connect() as other:
        other.sendAsync(sym(".kxi.ping"), mapping(), sym("onPing"), mapping(appCorr=7))
        message = other.receive(data_only=False)
        equal(message.type, MessageType.ASYNC, "type of the message")
        callback, header, payload = message.data
        equal((callback, int(header[b"rc"]), int(header[b"appCorr"])), (b"onPing", 0, 7), "callback, rc, appCorr")
        equal(len(payload) > 0, True, "payload")


@check
def several_outstanding_requests():
    count = 50
    for n in range(count):
        q.query(MessageType.SYNC, sym(".kxi.getData"), mapping(table=sym("trade"), limit=n + 1), sym(""), mapping(appN=n))
    for n in range(count):
        header, payload = q.receive()
        equal((int(header[b"appN"]), len(payload)), (n, n + 1), "appN and rows")


@check
def every_type_in_a_table():
    _, payload = call(q, ".kxi.getData", mapping(table=sym("gallery"), sortCols=sym("time")))
    for name, (type_name, _) in GALLERY.items():
        equal_column(name, items(payload[name], type_name), client_value)


def same(got, sent):
    """Whether a value came back as it went."""
    if isinstance(sent, QTemporal):
        # As text: no null of numpy's equals another.
        return isinstance(got, QTemporal) and got.meta.qtype == sent.meta.qtype and str(got.raw) == str(sent.raw)
    if isinstance(sent, (QDictionary, QKeyedTable)):
        return type(got) is type(sent) and same(got.keys, sent.keys) and same(got.values, sent.values)
    if isinstance(sent, QTable):
        return isinstance(got, QTable) and got.dtype == sent.dtype and all(same(got[n], sent[n]) for n in sent.dtype.names)
    if isinstance(sent, list):
        return len(got) == len(sent) and all(same(g, s) for g, s in zip(got, sent))
    if isinstance(sent, np.ndarray):
        return got.dtype == sent.dtype and np.array_equal(np.asarray(got), np.asarray(sent), equal_nan=sent.dtype.kind == "f")
    if isinstance(sent, str):
        return got == sent.encode()
    if isinstance(sent, (float, np.floating)) and np.isnan(sent):
        return np.isnan(got)
    return got == sent


def echoed():
    """Values of every type that qPython can send, by name. It cannot send the null of a temporal atom."""
    temporal = {
        "Timestamp": (qt.QTIMESTAMP, np.int64), "Month": (qt.QMONTH, np.int32), "Date": (qt.QDATE, np.int32),
        "Datetime": (qt.QDATETIME, np.float64), "Timespan": (qt.QTIMESPAN, np.int64),
        "Minute": (qt.QMINUTE, np.int32), "Second": (qt.QSECOND, np.int32), "Time": (qt.QTIME, np.int32),
    }
    numbers = {
        "Boolean": (qt.QBOOL_LIST, np.bool_, [True, False]), "Byte": (qt.QBYTE_LIST, np.byte, [0, 127, -128]),
        "Short": (qt.QSHORT_LIST, np.int16, [1, NULL[16], 2**15 - 1]), "Int": (qt.QINT_LIST, np.int32, [1, NULL[32], 2**31 - 1]),
        "Long": (qt.QLONG_LIST, np.int64, [1, NULL[64], 2**63 - 1]), "Real": (qt.QFLOAT_LIST, np.float32, [1.5, np.nan, np.inf]),
        "Float": (qt.QDOUBLE_LIST, np.float64, [1.5, np.nan, -np.inf]),
    }
    values = {}
    for name, (list_type, dtype, raw) in numbers.items():
        for n, item in enumerate(raw):
            values[f"app{name}{n}"] = dtype(item)
        values[f"app{name}s"] = qlist(np.array(raw, dtype=dtype), qtype=list_type)
    for name, (atom_type, dtype) in temporal.items():
        values[f"app{name}"] = qtemporal(from_raw_qtemporal(dtype(1234), atom_type), qtype=atom_type)
        values[f"app{name}s"] = qlist(np.array([0, 1234, -5, qt.qnull(atom_type)], dtype=dtype), qtype=-atom_type)
    guid = uuid.UUID("8c680a01-5a49-5aab-5a65-d4bfddb6a661")
    keys = qtable(qlist(np.array(["k"]), qtype=qt.QSYMBOL_LIST), [qlist(np.array([1, 2], dtype=np.int64), qtype=qt.QLONG_LIST)])
    rest = qtable(
        qlist(np.array(["v", "w"]), qtype=qt.QSYMBOL_LIST),
        [qlist(np.array([0.5, np.nan]), qtype=qt.QDOUBLE_LIST), qlist(np.array([1, 2], dtype=np.int32), qtype=qt.QTIME_LIST)],
    )
    values.update(
        appGuid=guid, appGuids=qlist(np.array([guid, uuid.UUID(int=0)]), qtype=qt.QGUID_LIST),
        appChar="a", appString="a string", appSymbol=sym("a symbol"),
        appSymbols=qlist([sym("a"), sym("b c")], qtype=qt.QSYMBOL_LIST),
        appList=[np.int64(1), "two", sym("three"), [np.float64(4.5), np.int16(5)]],
        appDict=mapping(a=np.int64(1), b="text"), appTable=rest, appKeyed=QKeyedTable(keys, rest),
    )
    return values


@check
def every_type_comes_back_in_the_header():
    sent = echoed()
    header, _ = call(q, ".kxi.ping", mapping(), mapping(**sent))
    wrong = [f"{key}: {header[key.encode()]!r} for {value!r}" for key, value in sent.items() if not same(header[key.encode()], value)]
    equal(wrong, [], "values that changed")


@check
def octet_stream_is_a_qipc_message():
    url = f"http://{HOST}:{HTTP_PORT}/data"
    body = '{"table": "trade", "agg": [["n", "count", "time"]], "opts": {"appText": "x"}}'
    curl = ["curl", "--silent", "--show-error", "--fail", "--header", "Accept: application/octet-stream", "--data", body, url]
    message = QReader(None).read(subprocess.run(curl, check=True, stdout=subprocess.PIPE).stdout)
    equal(message.type, MessageType.RESPONSE, "type of the message")
    header, payload = message.data
    equal((int(header[b"rc"]), header[b"appText"]), (0, b"x"), "rc and appText")
    equal(int(payload["n"][0]), ROWS, "rows")


@check
def a_long_answer_is_compressed_where_it_is_to_be():
    before = compressed_answers()
    _, payload = call(q, ".kxi.getData", day_args(1, agg=qlist([sym("sym"), sym("size")], qtype=qt.QSYMBOL_LIST)))
    truth = TRADE[DAYS[1]]
    equal((len(payload), int(payload["size"].sum())), (truth["rows"], truth["size"]), "rows and sum of size")
    equal(compressed_answers() - before, int(COMPRESSED), "answers that left compressed")


@check
def hundred_megabytes():
    _, payload = call(q, ".kxi.getData", mapping(table=sym("big")))
    equal(len(payload), BIG_ROWS, "rows")
    for k in range(BIG_FLOATS):
        equal(float(payload[f"f{k}"].sum()), big_sum(k), f"sum of f{k}")


finish()
