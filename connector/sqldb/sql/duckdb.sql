-- Every statement that DuckDB is given. {{.Events}} and {{.Positions}} are
-- names that were checked to need no quotes (config.go); everything else is
-- passed as a parameter.

-- name: createSchema
CREATE SCHEMA IF NOT EXISTS {{.Schema}}

-- name: createEvents
-- No unique index: DuckDB keeps one in memory as a whole, and it makes a load
-- several times slower. The merge below looks the eventIds up in the column,
-- which a scan of 16 bytes a row does in milliseconds.
CREATE TABLE IF NOT EXISTS {{.Events}} (
    eventId              UUID NOT NULL,
    deviceId             VARCHAR NOT NULL,
    deviceSequenceNumber BIGINT NOT NULL,
    type                 VARCHAR,
    value                DOUBLE,
    complexData          VARCHAR,
    createdAt            TIMESTAMP NOT NULL,
    enqueuedAt           TIMESTAMP,
    processedAt          TIMESTAMP,
    storedAt             TIMESTAMP NOT NULL,
    partitionId          INTEGER NOT NULL,
    logOffset            BIGINT NOT NULL,
    extra                VARCHAR
)

-- name: createPositions
-- One row per partition. No key either: there is one writing process, and it
-- claims under a lock of its own.
CREATE TABLE IF NOT EXISTS {{.Positions}} (
    partitionId INTEGER NOT NULL,
    worker      VARCHAR NOT NULL,
    epoch       BIGINT NOT NULL,
    position    BIGINT NOT NULL
)

-- name: dropEvents
DROP TABLE IF EXISTS {{.Events}}

-- name: dropPositions
DROP TABLE IF EXISTS {{.Positions}}

-- name: owners
SELECT partitionId, worker, epoch, position
FROM {{.Positions}}
WHERE list_contains($1::INTEGER[], partitionId)

-- name: addPartitions
-- Before a claim: partitions seen for the first time; -1 is "unknown".
INSERT INTO {{.Positions}}
SELECT wanted.partitionId, '', 0, -1
FROM (SELECT unnest($1::INTEGER[]) AS partitionId) AS wanted
WHERE NOT EXISTS (FROM {{.Positions}} AS p WHERE p.partitionId = wanted.partitionId)

-- name: claim
-- A new epoch fences every earlier owner: its next advance finds no row.
UPDATE {{.Positions}}
SET worker = $2, epoch = epoch + 1
WHERE list_contains($1::INTEGER[], partitionId)

-- name: advance
-- Compare and set: as many rows as there are advances, or the transaction is
-- rolled back. -1: nothing was known of the partition, it starts anywhere.
UPDATE {{.Positions}} AS p
SET position = a.upTo
FROM (
    SELECT unnest($1::INTEGER[]) AS partitionId, unnest($2::BIGINT[]) AS epoch,
           unnest($3::BIGINT[]) AS startAt, unnest($4::BIGINT[]) AS upTo
) AS a
WHERE p.partitionId = a.partitionId
  AND p.epoch = a.epoch
  AND (p.position = a.startAt OR p.position = -1)

-- name: merge
-- Bulk load and insert-if-absent in one: millrace_batch() is a table function
-- that hands over the rows of the write in column vectors straight from
-- memory, each eventId once. DuckDB builds its hash table on the smaller side,
-- which is the batch, and streams the eventId column past it.
INSERT INTO {{.Events}}
SELECT b.eventId, b.deviceId, b.deviceSequenceNumber, b.type, b.value, b.complexData,
       make_timestamp(b.createdAt), make_timestamp(b.enqueuedAt), make_timestamp(b.processedAt),
       make_timestamp($1::BIGINT), b.partitionId, b.logOffset, b.extra
FROM millrace_batch() AS b
WHERE NOT EXISTS (FROM {{.Events}} AS e WHERE e.eventId = b.eventId)

-- name: count
-- After an unknown outcome: which rows of a write are there, from this very
-- position of the log.
SELECT count(*), coalesce(max(epoch_us(e.storedAt)), 0)
FROM millrace_batch() AS b
JOIN {{.Events}} AS e ON e.eventId = b.eventId
WHERE e.partitionId = b.partitionId AND e.logOffset = b.logOffset

-- name: probe
-- Prepare asks for no rows: does an existing table have the columns?
SELECT eventId, deviceId, deviceSequenceNumber, type, value, complexData, createdAt, enqueuedAt,
       processedAt, storedAt, partitionId, logOffset, extra
FROM {{.Events}}
WHERE false

-- name: rows
-- Rows are only ever appended, so that their ids have no gaps to speak of.
SELECT coalesce(max(rowid) + 1, 0) FROM {{.Events}}

-- name: page
-- Reading back a stretch of rows: the driver holds a result in memory as a
-- whole, so that one SELECT over everything would not be bounded.
SELECT eventId, deviceId, deviceSequenceNumber, type, value, complexData,
       epoch_us(createdAt), epoch_us(enqueuedAt), epoch_us(processedAt), epoch_us(storedAt),
       partitionId, logOffset, extra
FROM {{.Events}}
WHERE rowid >= $1::BIGINT AND rowid < $2::BIGINT

-- name: view
-- For queries: `events` is this run's table, whatever its name is.
CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM {{.Database}}.{{.Events}}

-- name: readOnly
BEGIN TRANSACTION READ ONLY
