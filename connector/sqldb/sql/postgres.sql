-- Every statement that PostgreSQL is given. {{.Events}} and {{.Positions}} are
-- names that were checked to need no quotes (config.go); everything else is
-- passed as a parameter.

-- name: lockSchema
-- Workers that start together must not create the same things together. The
-- lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('millrace ' || $1, 0))

-- name: createSchema
CREATE SCHEMA IF NOT EXISTS {{.Schema}}

-- name: createEvents
-- json, not jsonb: parsing into jsonb halves the speed of a load, and json
-- keeps the text as it came. The key is what ON CONFLICT merges by.
CREATE TABLE IF NOT EXISTS {{.Events}} (
    eventId              uuid PRIMARY KEY,
    deviceId             text NOT NULL,
    deviceSequenceNumber bigint NOT NULL,
    type                 text,
    value                double precision,
    complexData          json,
    createdAt            timestamptz NOT NULL,
    enqueuedAt           timestamptz,
    processedAt          timestamptz,
    storedAt             timestamptz NOT NULL,
    partitionId          integer NOT NULL,
    logOffset            bigint NOT NULL,
    extra                json
)

-- name: createPositions
-- One row per partition. It is updated by every write: room in the page lets
-- an update stay in its page and off the index.
CREATE TABLE IF NOT EXISTS {{.Positions}} (
    partitionId integer PRIMARY KEY,
    worker      text NOT NULL,
    epoch       bigint NOT NULL,
    position    bigint NOT NULL
) WITH (fillfactor = 10)

-- name: dropEvents
DROP TABLE IF EXISTS {{.Events}}

-- name: dropPositions
DROP TABLE IF EXISTS {{.Positions}}

-- name: createStaging
-- Once per connection. Temporary: no WAL, no locks with others; emptied by
-- every commit and rollback.
CREATE TEMP TABLE IF NOT EXISTS millrace_staging (
    eventId              uuid,
    deviceId             text,
    deviceSequenceNumber bigint,
    type                 text,
    value                double precision,
    complexData          json,
    createdAt            timestamptz,
    enqueuedAt           timestamptz,
    processedAt          timestamptz,
    partitionId          integer,
    logOffset            bigint,
    extra                json
) ON COMMIT DELETE ROWS

-- name: copy
COPY millrace_staging FROM STDIN (FORMAT binary)

-- name: owners
SELECT partitionId, worker, epoch, position
FROM {{.Positions}}
WHERE partitionId = ANY ($1::integer[])

-- name: addPartitions
-- Before a claim: partitions seen for the first time; -1 is "unknown".
INSERT INTO {{.Positions}}
SELECT unnest($1::integer[]), '', 0, -1
ON CONFLICT (partitionId) DO NOTHING

-- name: lockPartitions
-- In one order, so that claims cannot lock each other out. Waits for a write
-- that is at its commit.
SELECT partitionId FROM {{.Positions}}
WHERE partitionId = ANY ($1::integer[])
ORDER BY partitionId
FOR UPDATE

-- name: claim
-- A new epoch fences every earlier owner: its next advance finds no row.
UPDATE {{.Positions}}
SET worker = $2, epoch = epoch + 1
WHERE partitionId = ANY ($1::integer[])
RETURNING partitionId, worker, epoch, position

-- name: clock
-- storedAt of the rows: taken when they are all staged, right before the merge.
SELECT clock_timestamp()

-- name: merge
-- Insert if absent. Of an eventId that a batch holds twice, the first copy
-- stays. Rows of another worker that are not committed yet are waited for.
INSERT INTO {{.Events}} (eventId, deviceId, deviceSequenceNumber, type, value, complexData,
       createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra)
SELECT eventId, deviceId, deviceSequenceNumber, type, value, complexData,
       createdAt, enqueuedAt, processedAt, $1::timestamptz, partitionId, logOffset, extra
FROM millrace_staging
ON CONFLICT (eventId) DO NOTHING

-- name: advance
-- Compare and set: as many rows as there are advances, or the transaction is
-- rolled back. -1: nothing was known of the partition, it starts anywhere.
UPDATE {{.Positions}} AS p
SET position = a.upTo
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) AS a (partitionId, epoch, startAt, upTo)
WHERE p.partitionId = a.partitionId
  AND p.epoch = a.epoch
  AND (p.position = a.startAt OR p.position = -1)

-- name: count
-- After an unknown outcome: which rows of a write are there, from this very
-- position of the log.
SELECT count(*), max(e.storedAt)
FROM unnest($1::uuid[], $2::integer[], $3::bigint[]) AS b (eventId, partitionId, logOffset)
JOIN {{.Events}} AS e ON e.eventId = b.eventId
WHERE e.partitionId = b.partitionId AND e.logOffset = b.logOffset

-- name: probe
-- Prepare asks for no rows: does an existing table have the columns?
SELECT eventId, deviceId, deviceSequenceNumber, type, value, complexData, createdAt, enqueuedAt,
       processedAt, storedAt, partitionId, logOffset, extra
FROM {{.Events}}
WHERE false

-- name: scan
SELECT eventId, deviceId, deviceSequenceNumber, type, value, complexData,
       createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra
FROM {{.Events}}

-- name: view
-- For queries: `events` is this run's table, whatever its name is. The view
-- goes with the transaction, which is rolled back.
CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM {{.Events}}

-- name: readOnly
SET TRANSACTION READ ONLY
