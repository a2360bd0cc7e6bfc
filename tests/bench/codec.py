"""A side of the bench `codec`: `codec.py DIR`: kola's serde, through its Python interface.

What kola offers to Python is: encode any object as a message, and decode a file that q's `set` wrote. The
file is in memory (DIR, or /dev/shm where there is one), and reading it is part of the time, as a copy of the bytes.
"""
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

import kola

RUNS = 3


def milliseconds(work):
    """The median of some runs; what the work gives is dropped outside of the time."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - start) * 1e3)
        del result
    return statistics.median(times)


def main():
    folder = sys.argv[1]
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as fast:
        files = {}
        for prefix, name in [("", "trade.qipc"), ("fixed: ", "trade-fixed.qipc")]:
            path = shutil.copy(os.path.join(folder, name + ".set"), fast)
            frame = kola.read_binary6(path)
            size = os.path.getsize(os.path.join(folder, name))
            assert frame.height == 1_000_000, frame.height
            # Its encoder writes the same message: that it is the same work is part of the comparison.
            assert len(kola.serialize_as_ipc_bytes6("response", False, frame)) == size, name
            files[prefix] = (path, frame)
        print("ready", flush=True)
        for _ in sys.stdin:
            numbers = {}
            for prefix, (path, frame) in files.items():
                numbers[f"{prefix}decode, ms"] = milliseconds(lambda: kola.read_binary6(path))
                encode = lambda: kola.serialize_as_ipc_bytes6("response", False, frame)
                encoding = milliseconds(encode)
                # It encodes into one buffer.
                numbers |= {f"{prefix}{work}, ms": encoding for work in ("encode", "encode into one buffer")}
            print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    main()
