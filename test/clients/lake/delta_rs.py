"""What tests have delta-rs do: the functions of calls. A table is the path of its
folder or a URI with storage options."""

import datetime
import json
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake

import values

calls = {}


def call(function):
    calls[function.__name__] = function
    return function


def opened(table, version=None, at=None, storage=None):
    """The table at its newest version, at a version, or as it was at a time in
    milliseconds since 1970."""
    found = DeltaTable(table, version=version, storage_options=storage)
    if at is not None:
        found.load_as_version(datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc))
    return found


def queried(found, sql):
    return pa.table(QueryBuilder().register("t", found).execute(sql).read_all())


@call
def hello():
    import deltalake

    return deltalake.__version__


@call
def query(table, sql, **which):
    """The rows of a query over the table, which it calls t."""
    return values.rows(queried(opened(table, **which), sql))


@call
def read(table, by, **which):
    """All rows in the order of a column, read by both of its engines."""
    found = opened(table, **which)
    one = values.rows(queried(found, f'SELECT * FROM t ORDER BY "{by}"'))
    other = values.rows(found.to_pyarrow_table().sort_by(by))
    if one != other:
        raise AssertionError(f"its engines differ: {one}, {other}")
    return one


@call
def detail(table, **which):
    found = opened(table, **which)
    meta, protocol = found.metadata(), found.protocol()
    return {
        "id": str(meta.id),
        "name": meta.name,
        "version": found.version(),
        "schema": json.loads(found.schema().to_json()),
        "partitionColumns": meta.partition_columns,
        "configuration": meta.configuration,
        "minReaderVersion": protocol.min_reader_version,
        "minWriterVersion": protocol.min_writer_version,
        "files": len(found.file_uris()),
    }


@call
def history(table, **which):
    """Newest first."""
    return [
        {
            "version": h["version"],
            "timestamp": h["timestamp"],
            "operation": h["operation"],
            "parameters": h.get("operationParameters", {}),
            "engine": h.get("engineInfo", ""),
        }
        for h in opened(table, **which).history()
    ]


@call
def transactions(table, apps, **which):
    """The version of each appId, None where there is none."""
    found = opened(table, **which)
    return {app: found.transaction_version(app) for app in apps}


@call
def pruned(table, column, least, most, **which):
    """How many files there are, how many of them may by their statistics hold
    rows of a range of a column, and how many rows are in it."""
    found = opened(table, **which)
    dataset = found.to_pyarrow_dataset()
    kind = dataset.schema.field(column).type
    if pa.types.is_timestamp(kind):
        least, most = (pa.scalar(v, pa.timestamp("us", tz="UTC")) for v in (least, most))
    within = (ds.field(column) >= least) & (ds.field(column) <= most)
    files = list(dataset.get_fragments(filter=within))
    return {
        "files": len(found.file_uris()),
        "read": len({f.path for f in files}),
        "rows": dataset.count_rows(filter=within),
    }


@call
def statistics(table, **which):
    """Compares the statistics of every file with what is in it, and returns how
    many columns had a least and a greatest value, by name."""
    found = opened(table, **which)
    filesystem = found.to_pyarrow_dataset().filesystem
    seen = {}
    for add in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        where = unquote(add["path"])
        leaves = _leaves(pq.read_table(where, filesystem=filesystem, partitioning=None))
        _same(f"records of {where}", add["num_records"], len(next(iter(leaves.values()))))
        for name, column in leaves.items():
            if add.get(f"null_count.{name}") is not None:
                _same(f"nulls in {name} of {where}", add[f"null_count.{name}"], column.null_count)
            least, most = add.get(f"min.{name}"), add.get(f"max.{name}")
            if least is None and most is None:
                continue
            seen[name] = seen.get(name, 0) + 1
            real = pc.min_max(column).as_py()
            if isinstance(most, datetime.datetime):
                # Statistics have milliseconds, so that the greatest may be above.
                most += datetime.timedelta(milliseconds=1)
            if least > real["min"] or most < real["max"]:
                raise AssertionError(f"{name} of {where} has {real}, its statistics {least} to {most}")
    return seen


def _same(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: {got}, really {want}")


def _leaves(table):
    """The columns of a table by their names in statistics, those in structs as well."""
    leaves = {}

    def add(name, column):
        if pa.types.is_struct(column.type):
            for i in range(column.type.num_fields):
                add(f"{name}.{column.type.field(i).name}", pc.struct_field(column, i))
        elif pa.types.is_timestamp(column.type):
            # Of Spark's older form, Arrow knows neither the zone nor the precision.
            leaves[name] = column.cast(pa.timestamp("us", tz="UTC"), safe=False)
        elif not pa.types.is_decimal(column.type):  # whose bounds delta-rs makes doubles
            leaves[name] = column

    for name in table.column_names:
        add(name, table.column(name))
    return leaves


@call
def write(table, schema, rows, mode="append", partition=None, merge=False, app=None, configuration=None, storage=None):
    """Writes rows, creating the table if need be; app is an appId and its version."""
    commit = CommitProperties(app_transactions=[Transaction(*app)]) if app else None
    write_deltalake(
        table,
        values.arrow_table(schema, rows),
        mode=mode,
        partition_by=partition,
        schema_mode="merge" if merge else None,
        commit_properties=commit,
        configuration=configuration,
        storage_options=storage,
    )
    return opened(table, storage=storage).version()


@call
def race(table, schema, row, column, times, storage=None):
    """Appends a row many times, each with its number at the end of a column."""
    for i in range(times):
        one = values.arrow_table(schema, [{**row, column: f"{row[column]}{i}"}])
        write_deltalake(table, one, mode="append", storage_options=storage)


@call
def optimize(table, storage=None):
    opened(table, storage=storage).optimize.compact()


@call
def files(table, **which):
    """The files of the table: their paths, sizes, rows and partition values."""
    adds = pa.table(opened(table, **which).get_add_actions(flatten=False)).to_pylist()
    return values.plain(
        [
            {"path": unquote(a["path"]), "size": a["size_bytes"], "rows": a["num_records"], "partition": a.get("partition") or {}}
            for a in sorted(adds, key=lambda a: a["path"])
        ]
    )
