"""Makes the Parquet files of this folder: what other writers of Delta tables
write. Run it with pyarrow and deltalake installed (these are of 26.0.1 and
1.6.6): python3 make.py

All files hold the same rows of the same columns, in other physical forms.
"""

import datetime
import decimal
import os
import shutil
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

UTC = datetime.timezone.utc
D = decimal.Decimal
TIMES = [
    datetime.datetime(2026, 1, 2, 15, 4, 5, 123456, UTC),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime.datetime(1582, 10, 15, 0, 0, 0, 1, UTC),
    None,
]

ROWS = 40


def pick(values, i):
    return values[i % len(values)]


def column(name, i):
    """The value of a column in row i."""
    if i % 5 == 4 and name != "id":
        return None
    return {
        "id": i,
        "b": pick([-128, 0, 127], i),
        "s": pick([-32768, 0, 32767], i),
        "i": pick([-(2**31), 0, 2**31 - 1], i),
        "f": pick([1.5, -0.0, 3.0e38], i),
        "d": pick([45.123456789, -1e-300, 0.1], i),
        "flag": i % 3 == 0,
        "text": pick(["", "é😀", "x" * 40, "null"], i),
        "bin": pick([b"", b"\x00\xff", b"abc"], i),
        "day": pick([datetime.date(2026, 1, 2), datetime.date(1969, 12, 31), datetime.date(1, 1, 1)], i),
        "at": pick(TIMES, i),
        "small": pick([D("-9999999.99"), D("0.00"), D("12.30")], i),
        "mid": pick([D("-99999999999999.9999"), D("0.0001"), D("123.0000")], i),
        "big": pick([D("-1") * (D(10) ** 28 - 1), D("12345678901234567890.1234567890"), D("0")], i),
        "list": pick([[1, None, 3], [], [7]], i),
        "lists": pick([[[1], [], None, [2, 3]], [], [[None]]], i),
        "map": pick([[("a", 1), ("b", None)], [], [("", 0)]], i),
        "point": pick([{"x": 1.5, "tags": ["p", None]}, {"x": None, "tags": []}, {"x": -1.0, "tags": None}], i),
        "points": pick([[{"x": 1, "y": None}, None, {"x": 2, "y": "z"}], [], [{"x": None, "y": "q"}]], i),
    }[name]


TYPES = {
    "id": pa.int64(),
    "b": pa.int8(),
    "s": pa.int16(),
    "i": pa.int32(),
    "f": pa.float32(),
    "d": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.string(),
    "bin": pa.binary(),
    "day": pa.date32(),
    "at": pa.timestamp("us", "UTC"),
    "small": pa.decimal128(9, 2),
    "mid": pa.decimal128(18, 4),
    "big": pa.decimal128(38, 10),
    "list": pa.list_(pa.int64()),
    "lists": pa.list_(pa.list_(pa.int32())),
    "map": pa.map_(pa.string(), pa.int64()),
    "point": pa.struct([("x", pa.float64()), ("tags", pa.list_(pa.string()))]),
    "points": pa.list_(pa.struct([("x", pa.int64()), ("y", pa.string())])),
}


def table():
    return pa.table(
        {n: pa.array([column(n, i) for i in range(ROWS)], t) for n, t in TYPES.items()},
        schema=pa.schema(list(TYPES.items())),
    )


def main():
    pq.write_table(table(), "plain.parquet", use_dictionary=False, compression="none")
    pq.write_table(table(), "dictionary.parquet", use_dictionary=True, compression="snappy", row_group_size=16)
    pq.write_table(table(), "v2.parquet", data_page_version="2.0", compression="zstd", data_page_size=64)
    pq.write_table(table(), "v2-snappy.parquet", data_page_version="2.0", compression="snappy", row_group_size=16)
    # Times of Spark and Impala; decimals in as few bytes as they need, and as
    # integers; gzip.
    pq.write_table(table(), "int96.parquet", use_deprecated_int96_timestamps=True, compression="gzip",
                   store_decimal_as_integer=True)
    # Lists whose element is called "item", numbers in deltas.
    pq.write_table(table(), "old-list-names.parquet", use_compliant_nested_type=False, compression="brotli",
                   use_dictionary=False, version="2.6",
                   column_encoding={"id": "DELTA_BINARY_PACKED", "text": "DELTA_LENGTH_BYTE_ARRAY",
                                    "bin": "DELTA_BYTE_ARRAY", "d": "BYTE_STREAM_SPLIT"})
    pq.write_table(table(), "millis.parquet", coerce_timestamps="ms", allow_truncated_timestamps=True)
    # A file from before most columns were added, with one that was dropped and
    # members in another order.
    few = pa.table({
        "gone": pa.array(["x"] * ROWS),
        "point": pa.array([None if v is None else {"z": 1, "tags": v["tags"]} for v in (column("point", i) for i in range(ROWS))],
                          pa.struct([("z", pa.int64()), ("tags", pa.list_(pa.string()))])),
        "points": pa.array([None if v is None else [None if p is None else {"y": p["y"]} for p in v]
                            for v in (column("points", i) for i in range(ROWS))],
                           pa.list_(pa.struct([("y", pa.string())]))),
        "ID": pa.array([column("id", i) for i in range(ROWS)], pa.int32()),
    })
    pq.write_table(few, "few.parquet")
    # Nothing but nulls, in columns of their type and in one of no type.
    nulls = pa.table({"id": pa.array(range(ROWS), pa.int64()), "text": pa.array([None] * ROWS, pa.string()),
                      "list": pa.array([None] * ROWS, pa.list_(pa.int64())), "d": pa.nulls(ROWS)})
    pq.write_table(nulls, "nulls.parquet", data_page_version="2.0", compression="snappy")
    # Fields that may not be null, although the table says they may.
    required = pa.schema([pa.field("id", pa.int64(), nullable=False),
                          pa.field("list", pa.list_(pa.field("element", pa.int64(), nullable=False)), nullable=False)])
    pq.write_table(pa.table({"id": list(range(ROWS)), "list": [[i] * (i % 3) for i in range(ROWS)]}, schema=required),
                   "required.parquet")
    from deltalake import write_deltalake

    with tempfile.TemporaryDirectory() as folder:
        write_deltalake(folder, table())
        files = [f for f in os.listdir(folder) if f.endswith(".parquet")]
        shutil.copy(os.path.join(folder, files[0]), "delta-rs.parquet")


if __name__ == "__main__":
    main()
