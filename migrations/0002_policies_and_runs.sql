-- 0002: memory policies, exact places, runs of pages, and what an allocation does beside taking
-- pages.

-- What few rows have beyond their columns, as 'name=value' for each thing that is said, separated
-- by spaces, in the order of this list. One column for all of it, since each column that is NULL
-- costs every row a little; rows written before, and a plain request for a block, have NULL.
--
-- For control_put and allocate, of the control:
--   policy=M             mode of the memory policy: default, preferred, bind, interleave, local,
--                        preferred_many, weighted_interleave
--   policy_flags=H       MPOL_F_*: 0x8000 static nodes, 0x4000 relative nodes, 0x2000 balancing
--   policy_nodes=N,N…    the policy's nodes, by number
--   home_node=N          where the policy's walk begins
--   weights=N:W,N:W…     pages in a row that a node has in a weighted interleave
--   allowed_nodes=N,N…   nodes of the cpuset; nothing after the '=': none
--   alignment=H          bytes: the address is phase more than a multiple of it
--   phase=H              bytes
--   boundary=H           bytes: no segment crosses a multiple of it
--   pages=D              a run of that many pages, not a block: block_order is NULL
--   order=D              the order that a control has beside pages, where it is not 0
--   max_segments=D       into how many runs the pages may be divided
--   fit=F                first, best, next or topdown
-- For allocate, granted or refused:
--   interleave=N+D,N+D   where the control that the call named stood in its round of nodes before
--                        the call, and where it stands after it: the node that served last, and the
--                        pages that this node still gets; 1023+0 before anybody has served
-- For allocate, granted:
--   segments=P+D,P+D…    the run granted: for each of its segments, in the order granted, the first
--                        page frame and the pages; pfn is that of the first
--   changes=C,C…         what the search changed in the zone before the pages were taken, in the
--                        order in which it happened, each one of
--                          retyped:P+D:T   the pageblocks that begin in these pages are of type T
--                          moved:P+D:T     the free blocks in these pages are in the lists of T
--                          boosted:D       the watermarks are raised by D pages
--                          advanced:P      a search for the next fit begins at page frame P
--   numa=I,I             how numastat counts it: the preferred node and the local one, by position
--                        in the machine's list of nodes, from 0; ',hit' follows where an interleave
--                        got the node that it chose. Not said where both are the grant's own node
-- For free, done:
--   segments=P+D,P+D…    of a run, the pages freed, ascending; block_order is NULL, and pfn is the
--                        first page frame that was granted
-- N, W, D, P and I are decimal numbers, H is hexadecimal with 0x before it, T is Unmovable,
-- Movable, Reclaimable or HighAtomic.
ALTER TABLE ledger ADD COLUMN details TEXT;

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
    compound,
    details
FROM ledger AS l;
