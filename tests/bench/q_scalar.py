"""A side of the bench `q-scalar`: the loops of `bench q-scalar` in CPython."""
import json
import sys
import time


def loop():
    f = lambda x: x + 1
    x = 0
    for _ in range(1_000_000):
        x = f(x)
    return x


def fib(x):
    return x if x < 2 else fib(x - 1) + fib(x - 2)


def text():
    add = lambda x, y: x + str(y)
    x = ""
    for y in range(100_000):
        x = add(x, y)
    return x


def main():
    work = {"{x+1}/[1000000;0]": loop, "fib 25": lambda: fib(25), '{x,string y}/["";til 100000]': text}
    print("ready", flush=True)
    for _ in sys.stdin:
        taken = {}
        for name, f in work.items():
            start = time.perf_counter()
            f()
            taken[name] = (time.perf_counter() - start) * 1e3
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
