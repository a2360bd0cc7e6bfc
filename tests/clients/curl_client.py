"""curl against the REST interface: JSON answers, statuses, errors, GET and POST. Needs only curl and Python."""
import json
import subprocess
import tempfile

from checks import AGG, BIG_FLOATS, BIG_ROWS, DAYS, GALLERY, HOST, HTTP_PORT, ROWS, TRADE, big_sum, check, equal
from checks import equal_column, equal_groups, finish

URL = f"http://{HOST}:{HTTP_PORT}"


def curl(path, *args):
    """The status and the body of a request."""
    with tempfile.NamedTemporaryFile() as body:
        command = ["curl", "--silent", "--show-error", "--max-time", "300", "--output", body.name]
        command += ["--write-out", "%{http_code} %{content_type}", *args, URL + path]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        status, _, content_type = done.stdout.decode().partition(" ")
        with open(body.name, "rb") as file:
            return int(status), content_type, file.read()


def post(path, request, status=200):
    """The header and the payload of a JSON request, which must have this status."""
    got, content_type, body = curl(path, "--header", "Content-Type: application/json", "--data", json.dumps(request))
    equal(got, status, f"status of {path} ({body[:300]!r})")
    equal(content_type.split(";")[0], "application/json", "content type")
    answer = json.loads(body)
    # A failure has its sentence in `error` too, for clients that look for nothing else.
    keys = ["header", "payload"] if status == 200 else ["error", "header", "payload"]
    equal(sorted(answer), keys, "keys of the answer")
    return answer["header"], answer["payload"]


def day(n):
    """Start and end of a day of trades, as q writes them."""
    end = DAYS[n][:-2] + f"{int(DAYS[n][-2:]) + 1:02}"
    return {"table": "trade", "startTS": DAYS[n] + "D00:00:00.000000000", "endTS": end + "D00:00:00.000000000"}


@check
def health_and_readiness():
    equal(curl("/healthz")[0], 200, "status of /healthz")
    equal(curl("/readyz")[0], 200, "status of /readyz")
    status, _, body = curl("/metrics")
    equal(status, 200, "status of /metrics")
    equal(b"# TYPE" in body, True, "metrics in the text format")


@check
def ping():
    header, payload = post("/kxi/ping", {})
    equal(header["rc"], 0, "rc")
    equal(set(payload), {True}, "payload")


@check
def one_day_of_trades():
    header, payload = post("/data", day(0))
    truth = TRADE[DAYS[0]]
    equal((header["rc"], header["ac"]), (0, 0), "rc and ac")
    equal(len(payload), truth["rows"], "rows")
    equal(sum(row["size"] for row in payload), truth["size"], "sum of size")
    equal(float(sum(row["price"] for row in payload)), truth["price"], "sum of price")


@check
def filter_and_columns_to_select():
    request = {**day(1), "filter": [[">=", "size", 90]], "agg": ["time", "size"]}
    _, payload = post("/kxi/getData", request)
    equal(len(payload), TRADE[DAYS[1]]["size90"], "rows")
    equal(list(payload[0]), ["time", "size"], "columns")
    equal(min(row["size"] for row in payload) >= 90, True, "the filter holds")


@check
def group_by_over_all_days():
    _, payload = post("/data", {"table": "trade", "groupBy": ["sym"], "agg": AGG})
    names = list(payload[0])
    equal_groups(names, [[row[name] for name in names] for row in payload])


@check
def get_with_a_query_string():
    status, _, body = curl(f"/data?table=trade&startTS={DAYS[0]}D00:00:00&groupBy=sym&limit=3")
    equal(status, 200, f"status ({body[:300]!r})")
    payload = json.loads(body)["payload"]
    equal([row["sym"] for row in payload], sorted(TRADE[DAYS[0]]["bySym"])[:3], "groups")


@check
def meta_names_the_tables():
    for path in ("/meta", "/kxi/getMeta"):
        status, _, body = curl(path) if path == "/meta" else curl(path, "--data", "{}")
        equal(status, 200, f"status of {path}")
        payload = json.loads(body)["payload"]
        tables = {row["table"] for row in payload["schema"]}
        equal({"trade", "quote", "gallery", "big"} <= tables, True, f"tables of {path}: {sorted(tables)}")


@check
def options_are_echoed_in_the_header():
    opts = {"logCorr": "from curl", "appText": "x y", "appNumber": 42, "appList": [1, 2, 3], "appFlag": True}
    header, _ = post("/kxi/ping", {"opts": opts})
    for name, value in opts.items():
        equal(header[name], value, name)


@check
def unknown_table_is_400_with_rc_56():
    header, payload = post("/data", {"table": "no_such_table"}, status=400)
    equal((header["rc"], header["ac"], payload), (56, 27, []), "rc, ac and payload")
    equal("no_such_table" in header["ai"], True, f"ai names the table: {header['ai']!r}")


@check
def bad_arguments_are_400_with_rc_5():
    for bad in ({"startTS": "yesterday"}, {"filter": [["~", "size", 1]]}, {"agg": [["x", "median", "size"]]}, {"limit": "a"}):
        header, payload = post("/data", {"table": "trade", **bad}, status=400)
        equal((header["rc"], header["ac"], payload), (5, 23, []), f"rc, ac and payload of {bad}")
        equal(len(header["ai"]) > 0, True, "ai says why")


@check
def what_is_no_request_is_refused():
    equal(curl("/no/such/path/at/all")[0], 404, "status of an unknown path")
    equal(curl("/data", "--header", "Content-Type: application/json", "--data", "{")[0], 400, "status of half a body")
    equal(curl("/data", "--request", "DELETE")[0], 405, "status of DELETE")


@check
def every_type_in_json():
    _, payload = post("/data", {"table": "gallery", "sortCols": ["time"]})
    equal(len(payload), 6, "rows")
    for name in ("booleans", "shorts", "ints", "longs", "reals", "floats", "symbols", "strings"):
        type_name, values = GALLERY[name]
        for row, raw in enumerate(values):
            got = payload[row][name]
            if raw in ("null", "inf", "-inf"):
                equal(got, None, f"{name}[{row}]: JSON has no {raw}")
            else:
                equal(got, bool(raw) if type_name == "boolean" else raw, f"{name}[{row}]")
    equal_column("guids", [row["guids"] for row in payload], lambda _, raw: raw)
    equal(payload[0]["timestamps"], "2024-01-01T00:00:00.001000000", "timestamps[0]")
    equal(payload[0]["dates"], "2024-01-01", "dates[0]")


@check
def hundred_megabytes():
    _, payload = post("/data", {"table": "big", "agg": ["sym"] + [f"f{k}" for k in range(BIG_FLOATS)]})
    equal(len(payload), BIG_ROWS, "rows")
    for k in range(BIG_FLOATS):
        equal(float(sum(row[f"f{k}"] for row in payload)), big_sum(k), f"sum of f{k}")


@check
def rows_of_all_days():
    _, payload = post("/data", {"table": "trade", "agg": [["n", "count", "time"]]})
    equal(payload, [{"n": ROWS}], "count over all days")


finish()
