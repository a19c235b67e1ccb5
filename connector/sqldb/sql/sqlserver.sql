-- Every statement that SQL Server and Azure SQL Database are given, but for
-- those that are built in code (sqlserver_text.go). {{.Events}},
-- {{.Positions}}, {{.Schema}} and {{.Ranges}} are names that were checked to
-- need no quotes (config.go); everything else is passed as a parameter. A
-- dedicated SQL pool has statements of its own: warehouse.sql.
--
-- Needs SQL Server 2017 or newer and a database of compatibility level 130 or
-- higher (OPENJSON); any Azure SQL Database has both. Clustered columnstore in
-- Azure SQL Database needs a vCore tier, or S3 and up.

-- name: edition
-- 6 is a dedicated SQL pool, which needs layout: warehouse.
SELECT CAST(SERVERPROPERTY(N'EngineEdition') AS int) AS edition

-- name: lockSchema
-- Workers that start together must not create the same things together. The
-- lock goes with the transaction. A negative answer is a deadlock or a
-- timeout: 51727 is retried.
DECLARE @got int;
EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 60000;
IF @got < 0
BEGIN
    THROW 51727, N'Another worker prepares the tables of Millrace.', 1;
END

-- name: createSchema
-- CREATE SCHEMA must be alone in its batch, hence EXEC.
IF SCHEMA_ID(N'{{.Schema}}') IS NULL
    EXEC (N'CREATE SCHEMA {{.Schema}}')

-- name: createPartitionFunction
-- Rowstore only. The log's partitions 0 to 30 have a range each, those above
-- share the last one; ranges without rows cost nothing.
IF NOT EXISTS (SELECT name FROM sys.partition_functions WHERE name = N'{{.Ranges}}')
    CREATE PARTITION FUNCTION {{.Ranges}} (int) AS RANGE LEFT
    FOR VALUES (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)

-- name: createPartitionScheme
-- Azure SQL Database has no file group but PRIMARY.
IF NOT EXISTS (SELECT name FROM sys.partition_schemes WHERE name = N'{{.Ranges}}')
    CREATE PARTITION SCHEME {{.Ranges}} AS PARTITION {{.Ranges}} ALL TO ([PRIMARY])

-- name: createEvents
-- The key begins with the partition, and so do the merge and the clustered
-- index of a rowstore: a writer then stays within its own partitions' ranges.
-- A columnstore is not divided: row groups do not cross partitions, and a
-- batch would fall apart into pieces that are too small to be compressed at
-- once. Its key is an ordinary index, which the merge seeks in.
-- Texts are nvarchar: what varchar holds depends on the database's collation.
-- A batch takes more row locks than SQL Server likes to keep: with escalation
-- AUTO it may lock the range of one partition instead, but not the whole
-- table, which other writers are writing to.
IF OBJECT_ID(N'{{.Events}}', N'U') IS NULL
BEGIN
CREATE TABLE {{.Events}} (
    eventId              uniqueidentifier NOT NULL,
    deviceId             nvarchar(256) NOT NULL,
    deviceSequenceNumber bigint NOT NULL,
    [type]               nvarchar(256) NULL,
    value                float NULL,
    complexData          nvarchar(max) NULL,
    createdAt            datetime2(6) NOT NULL,
    enqueuedAt           datetime2(6) NULL,
    processedAt          datetime2(6) NULL,
    storedAt             datetime2(6) NOT NULL,
    partitionId          int NOT NULL,
    logOffset            bigint NOT NULL,
    extra                nvarchar(max) NULL,
{{- if eq .Layout "columnstore"}}
    PRIMARY KEY NONCLUSTERED (partitionId, eventId),
    INDEX {{.Table}}_columns CLUSTERED COLUMNSTORE
);
{{- else}}
    PRIMARY KEY CLUSTERED (partitionId, eventId) WITH (DATA_COMPRESSION = PAGE) ON {{.Ranges}} (partitionId)
);
ALTER TABLE {{.Events}} SET (LOCK_ESCALATION = AUTO);
{{- end}}
END

-- name: createPositions
-- One row per partition.
IF OBJECT_ID(N'{{.Positions}}', N'U') IS NULL
CREATE TABLE {{.Positions}} (
    partitionId int NOT NULL,
    worker      nvarchar(256) NOT NULL,
    epoch       bigint NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY CLUSTERED (partitionId)
)

-- name: columns
-- What an existing table has: columns that are missing are added, others that
-- do not fit are refused (sqlserver_schema.go). No rows: there is no table.
SELECT c.name AS name, t.name AS type, c.max_length AS max_length, c.scale AS scale, c.is_nullable AS is_nullable,
       c.is_identity AS is_identity, c.is_computed AS is_computed, c.default_object_id AS default_object_id
FROM sys.columns AS c
INNER JOIN sys.types AS t ON t.user_type_id = c.user_type_id
WHERE c.object_id = OBJECT_ID(@table, N'U')
ORDER BY c.column_id

-- name: dropEvents
DROP TABLE IF EXISTS {{.Events}}

-- name: dropPositions
DROP TABLE IF EXISTS {{.Positions}}

-- name: dropPartitionScheme
-- After the table, before the function.
IF EXISTS (SELECT name FROM sys.partition_schemes WHERE name = N'{{.Ranges}}')
    DROP PARTITION SCHEME {{.Ranges}}

-- name: dropPartitionFunction
IF EXISTS (SELECT name FROM sys.partition_functions WHERE name = N'{{.Ranges}}')
    DROP PARTITION FUNCTION {{.Ranges}}

-- name: createStaging
-- For every write: a connection that comes back from the pool has lost its
-- temporary tables. Filled by bulk copy (sqlserver_bulk.go), outside of the
-- transaction: nobody else can see it, and nothing is locked meanwhile. The
-- key hands the rows to the merge in the order of the table's own.
DROP TABLE IF EXISTS #millrace_staging;
CREATE TABLE #millrace_staging (
    eventId              uniqueidentifier NOT NULL,
    deviceId             nvarchar(256) NOT NULL,
    deviceSequenceNumber bigint NOT NULL,
    [type]               nvarchar(256) NULL,
    value                float NULL,
    complexData          nvarchar(max) NULL,
    createdAt            datetime2(6) NOT NULL,
    enqueuedAt           datetime2(6) NULL,
    processedAt          datetime2(6) NULL,
    partitionId          int NOT NULL,
    logOffset            bigint NOT NULL,
    extra                nvarchar(max) NULL,
    PRIMARY KEY CLUSTERED (partitionId, eventId)
)

-- name: owners
SELECT p.partitionId, p.worker, p.epoch, p.position
FROM {{.Positions}} AS p
INNER JOIN OPENJSON(@partitions) WITH (partitionId int '$') AS a ON p.partitionId = a.partitionId

-- name: claim
-- A new epoch fences every earlier owner: its next write finds no row to move.
-- -1 is "unknown". Claims go one after the other; they wait for a write that
-- is at work on their partitions, and the rows that OUTPUT sends count only
-- when the whole batch has ended without an error.
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @got int;
BEGIN TRANSACTION;
EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 60000;
IF @got < 0
BEGIN
    THROW 51727, N'Another worker claims partitions.', 1;
END
INSERT INTO {{.Positions}} (partitionId, worker, epoch, position)
SELECT a.partitionId, N'', 0, -1
FROM OPENJSON(@partitions) WITH (partitionId int '$') AS a
WHERE NOT EXISTS (SELECT p.partitionId FROM {{.Positions}} AS p WHERE p.partitionId = a.partitionId);
UPDATE p
SET worker = @worker, epoch = p.epoch + 1
OUTPUT inserted.partitionId, inserted.worker, inserted.epoch, inserted.position
FROM {{.Positions}} AS p WITH (ROWLOCK, FORCESEEK)
INNER JOIN OPENJSON(@partitions) WITH (partitionId int '$') AS a ON p.partitionId = a.partitionId;
COMMIT TRANSACTION

{{- define "advance"}}
UPDATE p
SET position = m.upTo
FROM {{.Positions}} AS p WITH (ROWLOCK, FORCESEEK)
INNER JOIN OPENJSON(@moves) WITH (partitionId int '$[0]', epoch bigint '$[1]', startAt bigint '$[2]', upTo bigint '$[3]') AS m
    ON p.partitionId = m.partitionId
WHERE p.epoch = m.epoch AND (p.position = m.startAt OR p.position = -1);
IF @@ROWCOUNT <> @count
BEGIN
    THROW 51726, N'The positions are not what the write expects.', 1;
END
{{- end}}

{{- define "merge"}}
{{- if eq .Layout "columnstore"}}
INSERT INTO {{.Events}} (eventId, deviceId, deviceSequenceNumber, [type], value, complexData,
       createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra)
SELECT s.eventId, s.deviceId, s.deviceSequenceNumber, s.[type], s.value, s.complexData,
       s.createdAt, s.enqueuedAt, s.processedAt, @storedAt, s.partitionId, s.logOffset, s.extra
FROM #millrace_staging AS s
WHERE NOT EXISTS (SELECT t.eventId FROM {{.Events}} AS t WHERE t.partitionId = s.partitionId AND t.eventId = s.eventId)
OPTION (LOOP JOIN);
{{- else}}
MERGE INTO {{.Events}} AS t
USING #millrace_staging AS s
ON t.partitionId = s.partitionId AND t.eventId = s.eventId
WHEN NOT MATCHED BY TARGET THEN
    INSERT (eventId, deviceId, deviceSequenceNumber, [type], value, complexData,
            createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra)
    VALUES (s.eventId, s.deviceId, s.deviceSequenceNumber, s.[type], s.value, s.complexData,
            s.createdAt, s.enqueuedAt, s.processedAt, @storedAt, s.partitionId, s.logOffset, s.extra)
OPTION (LOOP JOIN);
{{- end}}
{{- end}}

-- name: write
-- A unit of work, in one batch: a worker that stops or is cut off cannot leave
-- a transaction open that keeps its successor from claiming.
--
-- First the positions, compare and set: as many rows as there are moves, or
-- everything is rolled back. Their row locks keep any other writer of these
-- partitions out until the commit, so that the merge by (partitionId, eventId)
-- needs no locks beyond its own rows. -1: nothing was known of the partition,
-- it starts anywhere. FORCESEEK keeps the update off the rows of others.
--
-- Then the rows that are absent. A rowstore merges; a columnstore gets INSERT
-- ... SELECT, because rows of a MERGE always go through the delta store, while
-- 102,400 and more of an INSERT ... SELECT are compressed at once. LOOP JOIN
-- looks each row up by the key, however large the table is.
--
-- storedAt is the server's clock when the rows are staged and about to be
-- merged. The answer comes after the commit.
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @storedAt datetime2(6);
DECLARE @stored int;
BEGIN TRANSACTION;
{{- template "advance" .}}
SET @storedAt = SYSUTCDATETIME();
{{- template "merge" .}}
SET @stored = @@ROWCOUNT;
COMMIT TRANSACTION;
SELECT @stored AS stored, @storedAt AS storedAt

-- name: advance
-- A write without results.
SET NOCOUNT ON;
SET XACT_ABORT ON;
BEGIN TRANSACTION;
{{- template "advance" .}}
COMMIT TRANSACTION

-- name: bare
-- For benchmarks only: a merge without positions.
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @storedAt datetime2(6);
DECLARE @stored int;
BEGIN TRANSACTION;
SET @storedAt = SYSUTCDATETIME();
{{- template "merge" .}}
SET @stored = @@ROWCOUNT;
COMMIT TRANSACTION;
SELECT @stored AS stored, @storedAt AS storedAt

-- name: probe
-- Does the table refuse a staged row? The merge is always rolled back. It does
-- not hold the positions, and the partition may have another owner meanwhile:
-- with READ_COMMITTED_SNAPSHOT, Azure's default, the merge would not see that
-- owner's rows, run into its keys (2627), and a good event would look like one
-- that the table refuses. SERIALIZABLE waits for them and sees them.
SET NOCOUNT ON;
SET XACT_ABORT ON;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
DECLARE @storedAt datetime2(6);
BEGIN TRANSACTION;
SET @storedAt = SYSUTCDATETIME();
{{- template "merge" .}}
ROLLBACK TRANSACTION;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED

-- name: count
-- After an unknown outcome: which of the staged rows are there, from this very
-- position of the log.
SELECT COUNT(*) AS n, MAX(e.storedAt) AS storedAt
FROM #millrace_staging AS s
INNER JOIN {{.Events}} AS e ON e.partitionId = s.partitionId AND e.eventId = s.eventId
WHERE e.logOffset = s.logOffset

-- name: partitions
-- For a scan: several readers share them.
SELECT DISTINCT partitionId FROM {{.Events}} ORDER BY partitionId

-- name: scan
SELECT eventId, deviceId, deviceSequenceNumber, [type], value, complexData,
       createdAt, enqueuedAt, processedAt, storedAt, partitionId, logOffset, extra
FROM {{.Events}}
WHERE partitionId = CAST(@partition AS int)
