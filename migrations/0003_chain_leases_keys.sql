-- 0003: the chain of hashes, leases, idempotency keys.

-- Who was let in to ask; NULL where everybody is.
ALTER TABLE ledger ADD COLUMN principal TEXT;

-- The caller's Idempotency-Key, and SHA-256 (32 bytes) of the request's method, path, query and
-- body; both or neither.
ALTER TABLE ledger ADD COLUMN idempotency_key TEXT;
ALTER TABLE ledger ADD COLUMN fingerprint BLOB;

-- Seconds from the row's time on after which a grant ends by itself: for allocate, NULL where it
-- does not; for lease_renewed.
ALTER TABLE ledger ADD COLUMN ttl_seconds INTEGER;

-- SHA-256 (32 bytes) over the hash of the row before (32 zero bytes before the first) and the
-- entry's canonical bytes, which are a layout of their own and not this row's. Rows that were there
-- before this migration have NULL: chain_start.
--
-- Kinds that are new with this migration:
--   7 lease_renewed   allocation, ttl_seconds; if refused: reason
--   8 lease_expired   allocation, pfn, block_order, freed_pages, node, zone, as for free
ALTER TABLE ledger ADD COLUMN hash BLOB;

-- The first answer to a keyed request, written in the transaction of its row.
CREATE TABLE answer (
    -- The row that the answer tells of: the last one, where the request led to several.
    sequence INTEGER PRIMARY KEY,
    -- As in ledger.idempotency_key.
    idempotency_key TEXT NOT NULL,
    -- The HTTP status.
    status INTEGER NOT NULL,
    -- The header fields that are sent again.
    fields TEXT NOT NULL,
    body BLOB NOT NULL,
    -- SHA-256 (32 bytes) over the row's hash, status, fields and body.
    hash BLOB NOT NULL
) STRICT;

-- The value of the chain at the last row without a hash of its own. One row, written when this
-- migration meets a ledger that has rows; none in a ledger that began with this layout.
CREATE TABLE chain_start (
    sequence INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT;

-- Here and not on ledger, where an index would be opened for each row, keyed or not.
CREATE INDEX answer_by_key ON answer (idempotency_key);

CREATE TRIGGER answer_is_never_updated BEFORE UPDATE ON answer
BEGIN
    SELECT RAISE(ABORT, 'an answer is never updated');
END;

CREATE TRIGGER answer_is_never_deleted BEFORE DELETE ON answer
BEGIN
    SELECT RAISE(ABORT, 'an answer is never deleted');
END;

CREATE TRIGGER chain_start_is_never_updated BEFORE UPDATE ON chain_start
BEGIN
    SELECT RAISE(ABORT, 'the start of the chain is never updated');
END;

CREATE TRIGGER chain_start_is_never_deleted BEFORE DELETE ON chain_start
BEGIN
    SELECT RAISE(ABORT, 'the start of the chain is never deleted');
END;

-- The ledger for the eye, with the columns and kinds above.
DROP VIEW ledger_readable;

CREATE VIEW ledger_readable AS
SELECT
    sequence,
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000, 'unixepoch')
        || printf('.%06dZ', time % 1000000) AS time,
    machine,
    CASE kind
        WHEN 1 THEN 'machine_created' WHEN 2 THEN 'machine_deleted'
        WHEN 3 THEN 'control_put' WHEN 4 THEN 'control_deleted'
        WHEN 5 THEN 'allocate' WHEN 6 THEN 'free' WHEN 7 THEN 'lease_renewed'
        WHEN 8 THEN 'lease_expired'
    END AS kind,
    CASE outcome WHEN 1 THEN 'granted' WHEN 2 THEN 'refused' WHEN 3 THEN 'done' END AS outcome,
    reason,
    request_id,
    principal,
    idempotency_key,
    machine_name,
    control,
    owner,
    labels,
    dialect,
    (SELECT names FROM gfp_spelling AS s WHERE s.dialect = l.dialect AND s.value = l.flags)
        AS flags,
    (SELECT names FROM gfp_spelling AS s
        WHERE s.dialect = l.dialect AND s.value = l.additional_flags) AS additional_flags,
    CASE WHEN low_boundary IS NOT NULL THEN printf('0x%x', low_boundary) END AS low_boundary,
    CASE WHEN high_boundary IS NOT NULL THEN printf('0x%x', high_boundary) END AS high_boundary,
    request_node,
    request_cpu,
    CASE WHEN target_pfn IS NOT NULL THEN printf('0x%x', target_pfn) END AS target_pfn,
    target_order,
    CASE WHEN kind = 5 AND outcome = 1 THEN sequence ELSE allocation END AS allocation,
    CASE WHEN pfn IS NOT NULL THEN printf('0x%x', pfn) END AS pfn,
    block_order,
    freed_pages,
    node,
    CASE zone
        WHEN 0 THEN 'DMA' WHEN 1 THEN 'DMA32' WHEN 2 THEN 'Normal' WHEN 3 THEN 'Movable'
        WHEN 4 THEN 'Device'
    END AS zone,
    CASE migratetype
        WHEN 0 THEN 'Unmovable' WHEN 1 THEN 'Movable' WHEN 2 THEN 'Reclaimable'
    END AS migratetype,
    compound,
    ttl_seconds,
    details,
    lower(hex(hash)) AS hash
FROM ledger AS l;
