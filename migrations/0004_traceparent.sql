-- 0004: the caller's trace.

-- traceparent of W3C Trace Context, 55 characters: version, trace id, parent id and flags in
-- lower-case hexadecimal with '-' between. NULL where the request had none. It is part of the
-- entry's canonical bytes, in a version of theirs that no other entry has.
ALTER TABLE ledger ADD COLUMN traceparent TEXT;

-- The ledger for the eye, with the column above.
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
    traceparent,
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
