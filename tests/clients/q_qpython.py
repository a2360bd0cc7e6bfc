"""qPython 2.0.0 against `qmesh q -p`."""
import numpy as np
from checks import HOST, QIPC_PORT, Mismatch, check, equal, finish
from qpython.qconnection import QConnection
from qpython.qtype import QException

q = QConnection(host=HOST, port=QIPC_PORT, username="user", password="pass", timeout=60)
q.open()


@check
def text_is_evaluated():
    equal(int(q.sendSync("2+3*4")), 14, "2+3*4")


@check
def a_function_is_called_by_name():
    equal(int(q.sendSync("add", np.int64(2), np.int64(40))), 42, "add")


@check
def a_table_arrives():
    table = q.sendSync("0!select sum size by sym from trade")
    equal([name.decode() for name in table["sym"]], ["a", "b", "c"], "sym")
    equal([int(size) for size in table["size"]], [900, 600, 600], "size")


@check
def a_lambda_comes_back_as_text():
    equal(str(q.sendSync("add")).find("x+y") >= 0, True, "text of add")


@check
def a_long_list_is_compressed_and_whole():
    values = q.sendSync("til 1000000")
    equal((len(values), int(values[-1])), (1000000, 999999), "til 1000000")


@check
def an_error_has_its_text():
    try:
        q.sendSync("nosuchname")
    except QException as error:
        equal("nosuchname" in str(error), True, f"text {error}")
    else:
        raise Mismatch("an unknown name gave an answer")


q.close()
finish()
