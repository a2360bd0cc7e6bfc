"""PyKX 4.2.0 without a licence against `qmesh q -p`: with the probes of its default connect."""
import pykx as kx
from checks import HOST, QIPC_PORT, Mismatch, check, equal, finish

q = kx.SyncQConnection(HOST, QIPC_PORT, username="user", password="pass")


@check
def text_is_evaluated():
    equal(q("2+3*4").py(), 14, "2+3*4")


@check
def a_function_is_called_by_name():
    equal(q("add", 2, 40).py(), 42, "add")


@check
def a_table_arrives():
    frame = q("0!select sum size by sym from trade").pd()
    equal(list(frame["sym"]), ["a", "b", "c"], "sym")
    equal([int(size) for size in frame["size"]], [900, 600, 600], "size")


@check
def a_frame_goes_in_and_comes_back():
    frame = q("select time, price from trade").pd()
    equal(q("{count x}", frame).py(), 6, "rows")


@check
def an_error_has_its_text():
    try:
        q("1+`a")
    except kx.QError as error:
        equal(str(error), "type", "text")
    else:
        raise Mismatch("1+`a gave an answer")


q.close()
finish()
