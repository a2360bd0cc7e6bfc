"""kola 2.6.1 against `qmesh q -p`."""
import kola
from checks import HOST, QIPC_PORT, Mismatch, check, equal, finish

q = kola.Q(HOST, QIPC_PORT, "user", "pass", timeout=60)
q.connect()


@check
def text_is_evaluated():
    equal(q.sync("2+3*4"), 14, "2+3*4")


@check
def a_function_is_called_by_name():
    equal(q.sync("add", 2, 40), 42, "add")


@check
def a_table_arrives():
    frame = q.sync("select sum size, vwap:size wavg price by sym from trade")
    equal(frame["sym"].to_list(), ["a", "b", "c"], "sym")
    equal(frame["size"].to_list(), [900, 600, 600], "size")
    equal(frame["vwap"].to_list(), [39.5 / 9, 23 / 6, 6.5], "vwap")


@check
def nulls_of_all_types_arrive():
    frame = q.sync("select short, int, long, date from gallery")
    for name in ("short", "int", "long", "date"):
        equal(frame[name].is_null().to_list(), [False, True, False], f"nulls of {name}")


@check
def an_asynchronous_message_changes_the_process():
    q.asyn(".u.upd", "x", 5)
    equal(q.sync("total") >= 5, True, "total")


@check
def an_error_has_its_text():
    try:
        q.sync("1+`a")
    except Exception as error:
        equal("type" in str(error), True, f"text {error}")
    else:
        raise Mismatch("1+`a gave an answer")


finish()
