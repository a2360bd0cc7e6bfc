"""The right answers, computed from the column files of the bundled database: `truth.py DATABASE OUT.json`.

Shares no code with qmesh and needs nothing but the standard library, so that an error in qmesh's reader cannot
hide in what its answers are compared with. Reads what that database holds: plain vectors, 32-bit enumerations,
containers of stored and q-compressed blocks.
"""
import array
import json
import math
import os
import struct
import sys

WIDTH_CODE = {1: "B", 4: "B", 5: "h", 6: "i", 7: "q", 8: "f", 9: "d", 10: "B", 12: "q"}


def inflate(block, plain):
    """One block that q compressed: a whole compressed message whose own header is not part of the data."""
    (size,) = struct.unpack_from("<i", block, 8)
    assert size == plain + 8, f"block of {size - 8} bytes where {plain} were announced"
    out = bytearray(size)
    table = [0] * 256
    s = p = 8
    d, bit, control = 12, 0, 0
    while s < size:
        if bit == 0:
            control, d, bit = block[d], d + 1, 1
        extra = 0
        match = control & bit
        if match:
            r = table[block[d]]
            extra = block[d + 1]
            d += 2
            # Byte by byte: a match may overlap what it makes.
            for m in range(extra + 2):
                out[s + m] = out[r + m]
            s += 2
        else:
            out[s] = block[d]
            s, d = s + 1, d + 1
        while p < s - 1:
            table[out[p] ^ out[p + 1]] = p
            p += 1
        if match:
            s += extra
            p = s
        bit = bit << 1 & 255
    return bytes(out[8:])


def image(path):
    """A column file as it would be without compression."""
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(b"kxzipped"):
        return data
    (count,) = struct.unpack_from("<q", data, len(data) - 8)
    trailer = len(data) - 8 - 8 * count - 32
    _, _, _, _, plain, _, block_size = struct.unpack_from("<IBBHqqq", data, trailer)
    parts, at = [], 8
    for n in range(count):
        length, algorithm = struct.unpack_from("<II", data, trailer + 32 + 8 * n)
        expected = min(block_size, plain - n * block_size)
        block = data[at : at + length]
        assert algorithm in (0, 1), f"{path}: block algorithm {algorithm}"
        parts.append(block if algorithm == 0 else inflate(block, expected))
        assert len(parts[-1]) == expected, f"{path}: block {n} has {len(parts[-1])} bytes"
        at += length
    return b"".join(parts)


def symbols(path):
    """The names of a symbol file."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:3] == b"\xff\x01\x0b", f"{path} is no symbol vector"
    return [name.decode() for name in data[8:].split(b"\0")[:-1]]


def column(path, domain):
    """The items of a column: numbers as stored, symbols by name."""
    data = image(path)
    if data[:2] == b"\xfe\x20":
        code, (count,) = WIDTH_CODE[data[2]], struct.unpack_from("<q", data, 8)
        items = array.array(code)
        items.frombytes(data[16 : 16 + count * items.itemsize])
        return items
    (count,) = struct.unpack_from("<q", data, 16)
    indices = array.array("i")
    indices.frombytes(data[24 : 24 + count * 4])
    return [domain[i] if i >= 0 else "" for i in indices]


def trade(directory, domain):
    """What is true of one day of trades."""
    time, sym, price, size = (column(os.path.join(directory, name), domain) for name in ("time", "sym", "price", "size"))
    assert len(time) == len(sym) == len(price) == len(size), f"{directory}: torn"
    by_sym = {}
    for row, name in enumerate(sym):
        by_sym.setdefault(name, []).append(row)
    groups = {}
    for name, rows in sorted(by_sym.items()):
        sizes = [size[r] for r in rows]
        prices = [price[r] for r in rows]
        groups[name] = {
            "count": len(rows),
            "size": sum(sizes),
            "price": math.fsum(prices),
            "max": max(prices),
            "min": min(prices),
            "turnover": math.fsum(p * s for p, s in zip(prices, sizes)),
            # In stored order, which is by time within a symbol.
            "first": prices[0],
            "last": prices[-1],
        }
    return {
        "rows": len(time),
        "size": sum(size),
        "price": math.fsum(price),
        "time": [min(time), max(time)],
        "size90": sum(1 for s in size if s >= 90),
        "bySym": groups,
    }


def main():
    database, out = sys.argv[1:3]
    domain = symbols(os.path.join(database, "sym"))
    days = {}
    for day in sorted(os.listdir(database)):
        if os.path.isdir(os.path.join(database, day, "trade")):
            days[day] = trade(os.path.join(database, day, "trade"), domain)
    with open(out, "w") as file:
        json.dump({"trade": days}, file)
    print("truth: trade has", ", ".join(f"{day['rows']} rows on {name}" for name, day in days.items()))


if __name__ == "__main__":
    main()
