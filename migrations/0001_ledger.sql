-- 0001: the ledger.
--
-- Signed and unsigned: SQLite's integers are signed. A 64-bit value above 2^63 (a boundary, a page
-- frame named by a caller) is kept as the negative integer with the same bits; printf('%u', x) and
-- printf('0x%x', x) show it as it is.

-- One row for each request that was decided, granted or refused, in the order of decision. Rows are
-- only ever appended, with sequences 1, 2, 3 … without gaps. No row ever changes or goes away: the
-- two triggers below refuse it. (REPLACE, which gfpd never uses, asks the second one only where
-- PRAGMA recursive_triggers is on.)
--
-- Which columns a row fills follows from kind and outcome; the others are NULL.
--   machine_created   machine_name, document
--   machine_deleted   machine_name
--   control_put       control and the control's own fields: dialect, flags, block_order,
--                     request_node, low_boundary, high_boundary
--   control_deleted   control
--   allocate          what was asked for (control … labels, block_order); if granted: pfn, node,
--                     zone, migratetype, compound; if refused: reason
--   free              what was named (target_pfn and target_order, or else allocation); if done:
--                     allocation, pfn, block_order, freed_pages, node, zone; if refused: reason
--
-- The sequence is the only key: a second index that is written to in random places would make
-- appending several times slower.
CREATE TABLE ledger (
    -- Place in the ledger, from 1. For a grant it is also the allocation's identity.
    sequence INTEGER PRIMARY KEY,
    -- When it was decided: microseconds since 1970-01-01T00:00:00Z. Never less than the row before.
    time INTEGER NOT NULL,
    -- The machine: sequence of the row that created it.
    machine INTEGER NOT NULL,
    -- 1 machine_created, 2 machine_deleted, 3 control_put, 4 control_deleted, 5 allocate, 6 free.
    kind INTEGER NOT NULL,
    -- 1 granted, 2 refused, 3 done (anything that is not a grant and was done).
    outcome INTEGER NOT NULL,
    -- The request's identifier, as it was answered.
    request_id TEXT NOT NULL,
    -- Name of the machine created or deleted.
    machine_name TEXT,
    -- Name of the allocation control put or deleted; for allocate: the stored control that the call
    -- named, NULL where it named none.
    control TEXT,
    -- Who asked; NULL where the call did not say.
    owner TEXT,
    -- The kernel whose GFP bits flags and additional_flags are: linux-6.1 …
    dialect TEXT,
    -- gfp_t of the control, 32 bits. Its names: gfp_spelling.
    flags INTEGER,
    -- gfp_t that the call added; NULL for none.
    additional_flags INTEGER,
    -- First byte address that a page may cover; NULL for 0.
    low_boundary INTEGER,
    -- Last byte address that a page may cover; NULL for 2^64 - 1.
    high_boundary INTEGER,
    -- The node asked for; NULL for the caller's local one.
    request_node INTEGER,
    -- The CPU that the call came from; NULL for the machine's first.
    request_cpu INTEGER,
    -- One line 'name=value' for each label, joined by newlines; NULL for no labels.
    labels TEXT,
    -- The page frame that a free named; NULL where it named an allocation.
    target_pfn INTEGER,
    -- The order that it named with it; NULL where it named the page alone.
    target_order INTEGER,
    -- For free: the allocation that was named, or whose pages were freed. NULL for a grant, whose
    -- identity is its sequence.
    allocation INTEGER,
    -- First page frame of the block granted, or of the block that was freed from.
    pfn INTEGER,
    -- log2 of the pages in the block, 0 to 10; where nothing was granted: in the block asked for.
    block_order INTEGER,
    -- Pages that a free gave back: what the allocation still held of the block.
    freed_pages INTEGER,
    -- Node of the block.
    node INTEGER,
    -- Zone of the block: 0 DMA, 1 DMA32, 2 Normal, 3 Movable, 4 Device.
    zone INTEGER,
    -- 0 Unmovable, 1 Movable, 2 Reclaimable.
    migratetype INTEGER,
    -- 1 where __GFP_COMP made the pages one compound page, else 0.
    compound INTEGER,
    -- Why it was refused: the name of the rule.
    reason TEXT,
    -- The created machine in its canonical bytes.
    document BLOB
) STRICT;

CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is never updated');
END;

CREATE TRIGGER ledger_is_never_deleted_from BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is never deleted from');
END;

-- What a value of ledger.flags or ledger.additional_flags means, by name: one row for each pair of
-- dialect and value that occurs there, written in the transaction in which it first occurs. Rows
-- never change.
CREATE TABLE gfp_spelling (
    -- As in ledger.dialect.
    dialect TEXT NOT NULL,
    -- gfp_t, 32 bits.
    value INTEGER NOT NULL,
    -- The flags' names as kernel trace events print them, joined by '|'; bits without a name are
    -- one hexadecimal number at the end.
    names TEXT NOT NULL,
    PRIMARY KEY (dialect, value)
) STRICT, WITHOUT ROWID;

-- The ledger for the eye: codes as names, times as text, addresses in hexadecimal.
CREATE VIEW ledger_readable AS
SELECT
    sequence,
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000, 'unixepoch')
        || printf('.%06dZ', time % 1000000) AS time,
    machine,
    CASE kind
        WHEN 1 THEN 'machine_created' WHEN 2 THEN 'machine_deleted'
        WHEN 3 THEN 'control_put' WHEN 4 THEN 'control_deleted'
        WHEN 5 THEN 'allocate' WHEN 6 THEN 'free'
    END AS kind,
    CASE outcome WHEN 1 THEN 'granted' WHEN 2 THEN 'refused' WHEN 3 THEN 'done' END AS outcome,
    reason,
    request_id,
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
    compound
FROM ledger AS l;
