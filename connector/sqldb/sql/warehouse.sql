-- The statements for a dedicated SQL pool (Azure Synapse Analytics, formerly
-- SQL Data Warehouse), where they differ from sqlserver.sql: it has no
-- enforced keys, no @@ROWCOUNT, no application locks, no DDL in transactions,
-- no max types in a columnstore, no joins in the FROM of an UPDATE. Rows are
-- counted by the driver; what is missing between two statements of one
-- transaction is done in code (warehouse.go).

-- name: createSchema
IF SCHEMA_ID(N'{{.Schema}}') IS NULL
    EXEC (N'CREATE SCHEMA {{.Schema}}')

-- name: createEvents
-- By device, so that what is asked of one device is asked of one distribution.
-- Texts are as long as a columnstore of the pool takes: a longer one is
-- refused, and goes to the dead letters.
IF OBJECT_ID(N'{{.Events}}', N'U') IS NULL
CREATE TABLE {{.Events}} (
    eventId              uniqueidentifier NOT NULL,
    deviceId             nvarchar(256) NOT NULL,
    deviceSequenceNumber bigint NOT NULL,
    [type]               nvarchar(256) NULL,
    value                float NULL,
    complexData          nvarchar(4000) NULL,
    createdAt            datetime2(6) NOT NULL,
    enqueuedAt           datetime2(6) NULL,
    processedAt          datetime2(6) NULL,
    storedAt             datetime2(6) NOT NULL,
    partitionId          int NOT NULL,
    logOffset            bigint NOT NULL,
    extra                nvarchar(4000) NULL
) WITH (DISTRIBUTION = HASH(deviceId), CLUSTERED COLUMNSTORE INDEX)

-- name: createPositions
IF OBJECT_ID(N'{{.Positions}}', N'U') IS NULL
CREATE TABLE {{.Positions}} (
    partitionId int NOT NULL,
    worker      nvarchar(256) NOT NULL,
    epoch       bigint NOT NULL,
    position    bigint NOT NULL
) WITH (DISTRIBUTION = ROUND_ROBIN, HEAP)

-- name: dropEvents
IF OBJECT_ID(N'{{.Events}}', N'U') IS NOT NULL
    DROP TABLE {{.Events}}

-- name: dropPositions
IF OBJECT_ID(N'{{.Positions}}', N'U') IS NOT NULL
    DROP TABLE {{.Positions}}

-- name: createStaging
IF OBJECT_ID(N'tempdb..#millrace_staging') IS NOT NULL
    DROP TABLE #millrace_staging;
CREATE TABLE #millrace_staging (
    eventId              uniqueidentifier NOT NULL,
    deviceId             nvarchar(256) NOT NULL,
    deviceSequenceNumber bigint NOT NULL,
    [type]               nvarchar(256) NULL,
    value                float NULL,
    complexData          nvarchar(4000) NULL,
    createdAt            datetime2(6) NOT NULL,
    enqueuedAt           datetime2(6) NULL,
    processedAt          datetime2(6) NULL,
    partitionId          int NOT NULL,
    logOffset            bigint NOT NULL,
    extra                nvarchar(4000) NULL
) WITH (DISTRIBUTION = HASH(deviceId), HEAP)

-- name: createMoves
-- What a claim or a write wants of the positions; filled by one INSERT ...
-- SELECT ... UNION ALL of numbers, built in code.
IF OBJECT_ID(N'tempdb..#millrace_moves') IS NOT NULL
    DROP TABLE #millrace_moves;
CREATE TABLE #millrace_moves (
    partitionId int NOT NULL,
    epoch       bigint NOT NULL,
    startAt     bigint NOT NULL,
    upTo        bigint NOT NULL
) WITH (DISTRIBUTION = ROUND_ROBIN, HEAP)

-- name: owners
SELECT p.partitionId, p.worker, p.epoch, p.position
FROM {{.Positions}} AS p
INNER JOIN #millrace_moves AS a ON p.partitionId = a.partitionId

-- name: lockPositions
-- An UPDATE locks the whole table until the transaction ends, whichever rows
-- it finds. So claims go one after the other, and none adds a partition twice.
UPDATE {{.Positions}} SET position = position WHERE partitionId = -1

-- name: addPartitions
INSERT INTO {{.Positions}} (partitionId, worker, epoch, position)
SELECT a.partitionId, N'', 0, -1
FROM #millrace_moves AS a
WHERE NOT EXISTS (SELECT p.partitionId FROM {{.Positions}} AS p WHERE p.partitionId = a.partitionId)

-- name: claim
UPDATE {{.Positions}}
SET worker = @worker, epoch = {{.Positions}}.epoch + 1
FROM #millrace_moves AS a
WHERE {{.Positions}}.partitionId = a.partitionId

-- name: advance
-- Compare and set; the driver reports how many rows were set. The lock on the
-- table keeps every other writer from its own advance until the commit.
UPDATE {{.Positions}}
SET position = m.upTo
FROM #millrace_moves AS m
WHERE {{.Positions}}.partitionId = m.partitionId AND {{.Positions}}.epoch = m.epoch
  AND ({{.Positions}}.position = m.startAt OR {{.Positions}}.position = -1)

-- name: clock
SELECT SYSUTCDATETIME() AS storedAt

-- name: merge
-- Insert if absent, by the same key as everywhere.
INSERT INTO {{.Events}} (eventId, deviceId, deviceSequenceNumber, [type], value, complexData,
       createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra)
SELECT s.eventId, s.deviceId, s.deviceSequenceNumber, s.[type], s.value, s.complexData,
       s.createdAt, s.enqueuedAt, s.processedAt, @storedAt, s.partitionId, s.logOffset, s.extra
FROM #millrace_staging AS s
WHERE NOT EXISTS (SELECT t.eventId FROM {{.Events}} AS t WHERE t.partitionId = s.partitionId AND t.eventId = s.eventId)
