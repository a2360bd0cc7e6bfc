"""curl against `qmesh q -p`: the page that q makes of an expression."""
import subprocess

from checks import HOST, HTTP_PORT, check, equal, finish


def page(query):
    """The body of the page."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", f"http://{HOST}:{HTTP_PORT}/?{query}"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


@check
def an_expression_is_shown():
    equal("42" in page("6*7"), True, "42 on the page")


@check
def a_table_is_shown():
    text = page("select%20from%20trade")
    equal("price" in text and "2024.01.02D09:30:00" in text, True, f"the table in {text[:200]!r}")


@check
def markup_in_values_is_text():
    equal("<script>" in page("%22%3Cscript%3E%22"), False, "markup is escaped")


finish()
