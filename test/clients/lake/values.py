"""Values as JSON, the same whoever reads them: whole numbers as they are, doubles
as numbers or "NaN", "Infinity", "-Infinity", timestamps as microseconds since 1970,
dates as yyyy-mm-dd, decimals as text with all their digits, binary in base64, maps
as lists of pairs, structs as objects. And the other way, by a Delta schema."""

import base64
import datetime
import decimal
import math

import pyarrow as pa

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def plain(value):
    """A value of an Arrow table's as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return (value - EPOCH) // MICROSECOND
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def rows(table):
    """The rows of an Arrow table, an object each."""
    return plain(table.to_pylist())


SIMPLE = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_type(kind):
    """The Arrow type for a type of a Delta schema."""
    if isinstance(kind, str):
        if kind.startswith("decimal("):
            precision, scale = kind[len("decimal(") : -1].split(",")
            return pa.decimal128(int(precision), int(scale))
        return SIMPLE[kind]
    if kind["type"] == "struct":
        return pa.struct([arrow_field(f) for f in kind["fields"]])
    if kind["type"] == "array":
        return pa.list_(pa.field("element", arrow_type(kind["elementType"]), kind["containsNull"]))
    key, value = arrow_type(kind["keyType"]), arrow_type(kind["valueType"])
    return pa.map_(key, pa.field("value", value, kind["valueContainsNull"]))


def arrow_field(field):
    return pa.field(field["name"], arrow_type(field["type"]), field["nullable"])


def arrow_schema(schema):
    return pa.schema([arrow_field(f) for f in schema["fields"]])


def _value(kind, value):
    """What Arrow takes for a value in JSON."""
    if value is None:
        return None
    if isinstance(kind, str):
        if kind.startswith("decimal("):
            return decimal.Decimal(value)
        if kind in ("double", "float"):
            return float(value)
        if kind == "binary":
            return base64.b64decode(value)
        if kind == "date":
            return datetime.date.fromisoformat(value)
        if kind == "timestamp":
            return EPOCH + value * MICROSECOND
        return value
    if kind["type"] == "struct":
        return {f["name"]: _value(f["type"], value.get(f["name"])) for f in kind["fields"]}
    if kind["type"] == "array":
        return [_value(kind["elementType"], v) for v in value]
    return [(_value(kind["keyType"], k), _value(kind["valueType"], v)) for k, v in value]


def arrow_table(schema, objects):
    """The Arrow table for rows in JSON."""
    return pa.Table.from_pylist([_value(schema, row) for row in objects], schema=arrow_schema(schema))
