-- What a query of the archive sees. archive_rows is the table function that
-- reads files; times go as microseconds, because the driver would make a
-- time.Time of each. The bodies' fields are columns already.

-- archive
CREATE MACRO archive(pattern := '') AS TABLE
SELECT SequenceNumber, "Offset", make_timestamp(enqueued) AS EnqueuedTimeUtc, SystemProperties, Properties, Body,
       PartitionId, FileName, make_timestamp(stored) AS StoredAt,
       eventId, deviceId, deviceSequenceNumber, type, value, complexData, make_timestamp(created) AS createdAt,
       BodyError, RawBody, ArchiveRow
FROM archive_rows(coalesce(pattern, '//NULL')); -- the driver ends the process at a NULL

-- events
CREATE VIEW events AS FROM archive();

-- unique_archive
-- Duplicates are few, so the join's table is small, and the wide rows of the
-- archive stream past it. ArchiveRow grows with partition, window and sequence
-- number, and is different for every record, even if two files hold the same.
CREATE MACRO unique_archive(pattern := '') AS TABLE
SELECT a.*
FROM archive(pattern) a
LEFT JOIN (SELECT eventId AS id, min(ArchiveRow) AS firstRow
           FROM archive(pattern)
           WHERE eventId IS NOT NULL
           GROUP BY eventId
           HAVING count(*) > 1) d ON a.eventId = d.id
WHERE a.eventId IS NOT NULL AND (d.firstRow IS NULL OR d.firstRow = a.ArchiveRow);

-- unique_events
CREATE VIEW unique_events AS FROM unique_archive();
