"""What tests have Apache Spark do: the functions of calls. It starts with the first
of them, from jars on this machine, and listens on loopback only."""

import atexit
import contextlib
import functools
import json
import os
import shutil
import tempfile

from delta.tables import DeltaTable, IdentityGenerator
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StructType

import values

calls = {}


def call(function):
    calls[function.__name__] = function
    return function


@functools.cache
def session():
    home = tempfile.mkdtemp(prefix="spark")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_HOSTNAME="localhost", SPARK_LOCAL_DIRS=home)
    settings = {
        "spark.driver.extraClassPath": os.environ["LAKE_CP"],
        # Small and quick to start.
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir={home}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        # Compiling a query takes far longer than interpreting it for so few rows.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",  # tasks of VACUUM
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": os.path.join(home, "warehouse"),
        # So that tests can vacuum what they have just written.
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    return started


def opened(table, version=None, at=None):
    """The table at its newest version, at a version, or as it was at a time in
    milliseconds since 1970."""
    reader = session().read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    if at is not None:
        moment = values.EPOCH + at * 1000 * values.MICROSECOND
        reader = reader.option("timestampAsOf", moment.strftime("%Y-%m-%d %H:%M:%S.%f"))
    return reader.load(table)


@contextlib.contextmanager
def settings(given):
    """Changes settings of the session for a while."""
    conf = session().conf
    before = {key: conf.get(key, None) for key in given or {}}
    for key, value in (given or {}).items():
        conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            conf.unset(key) if value is None else conf.set(key, value)


@call
def hello():
    return session().version


@call
def query(table, sql, **which):
    """The rows of a query over the table, which it calls t."""
    opened(table, **which).createOrReplaceTempView("t")
    return values.rows(session().sql(sql).toArrow())


@call
def execute(table, sql):
    """Runs a statement, in which $t is the table."""
    session().sql(sql.replace("$t", f"delta.`{table}`")).collect()


@call
def read(table, by, **which):
    """All rows in the order of a column."""
    return values.rows(opened(table, **which).orderBy(f"`{by}`").toArrow())


def _snapshot(table):
    """What Spark itself knows of a table, more of it than SQL tells."""
    delta = session()._jvm.org.apache.spark.sql.delta.DeltaLog
    return delta.forTable(session()._jsparkSession, table).update(False, *_none(2))


def _none(n):
    none = session()._jvm.scala.Option.empty()
    return [none] * n


@call
def detail(table):
    row = session().sql(f"DESCRIBE DETAIL delta.`{table}`").toArrow().to_pylist()[0]
    newest = session().sql(f"DESCRIBE HISTORY delta.`{table}` LIMIT 1").toArrow().to_pylist()[0]
    return {
        "id": row["id"],
        "name": row["name"],
        "version": newest["version"],
        "schema": json.loads(opened(table).schema.json()),
        "partitionColumns": row["partitionColumns"],
        "configuration": dict(row["properties"]),
        "minReaderVersion": row["minReaderVersion"],
        "minWriterVersion": row["minWriterVersion"],
        "files": row["numFiles"],
    }


@call
def history(table):
    """Newest first."""
    return [
        {
            "version": h["version"],
            "timestamp": values.plain(h["timestamp"]) // 1000,
            "operation": h["operation"],
            "parameters": dict(h["operationParameters"] or {}),
            "engine": h["engineInfo"] or "",
        }
        for h in session().sql(f"DESCRIBE HISTORY delta.`{table}`").toArrow().to_pylist()
    ]


@call
def transactions(table, apps):
    """The version of each appId, None where there is none."""
    known = _snapshot(table).transactions()
    found = {app: known.get(app) for app in apps}
    return {app: version.get() if version.isDefined() else None for app, version in found.items()}


@call
def pruned(table, column, least, most):
    """How many files there are, how many of them Spark reads for a range of a
    column, and how many rows are in it."""
    frame = opened(table)
    if dict(frame.dtypes)[column] == "timestamp":
        least, most = (f"timestamp_micros({v})" for v in (least, most))
    frame = frame.where(f"`{column}` BETWEEN {least} AND {most}")
    plan = frame._jdf.queryExecution().executedPlan()
    rows = plan.executeCollectPublic()
    read = plan.collectLeaves().head().metrics().get("numFiles").get().value()
    return {"files": detail(table)["files"], "read": read, "rows": len(rows)}


@call
def write(table, schema, rows, mode="append", partition=None, merge=False, app=None, configuration=None, files=1, conf=None):
    """Writes rows, creating the table if need be; app is an appId and its version."""
    with settings(conf):
        frame = session().createDataFrame(values.arrow_table(schema, rows), StructType.fromJson(schema))
        writer = frame.repartition(files).write.format("delta").mode(mode)
        if partition:
            writer = writer.partitionBy(*partition)
        if merge:
            writer = writer.option("mergeSchema", "true")
        if app:
            writer = writer.option("txnAppId", app[0]).option("txnVersion", app[1])
        for key, value in (configuration or {}).items():
            writer = writer.option(key, value)
        writer.save(table)
    return _snapshot(table).version()


@call
def checkpoint(table):
    session()._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session()._jsparkSession, table).checkpoint()
    return _snapshot(table).version()


@call
def generate(table, identity):
    """Creates a table whose column made is generated or an identity."""
    builder = DeltaTable.create(session()).location(table).addColumn("id", "LONG")
    if identity:
        builder.addColumn("made", dataType=LongType(), generatedAlwaysAs=IdentityGenerator())
    else:
        builder.addColumn("made", "LONG", generatedAlwaysAs="id * 2")
    builder.execute()


@call
def race(table, schema, row, column, times):
    """Appends a row many times, each with its number at the end of a column."""
    for i in range(times):
        write(table, schema, [{**row, column: f"{row[column]}{i}"}])


@call
def forget():
    """Has it read logs anew, from where a reader begins that knows nothing."""
    session()._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
