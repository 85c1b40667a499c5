/* A sqlite3_vfs over SQLite's own one that can fail and that knows what the disk holds.
 *
 * What SQLite writes goes to the real files, which stand for the operating system's cache. For each
 * file the shim keeps, sector by sector, what the disk would hold where the two differ: the content
 * before the first write that was not synced. Loss of power is that content put back, all of it or
 * some. After a sync that failed the kernel marks pages clean that never reached the disk
 * (https://lwn.net/Articles/752063/), so a later sync does not bring them there: only writing them
 * again does.
 *
 * Not simulated: names. A file that was never synced is gone after loss of power, and a file that
 * was deleted stays deleted. The shared memory of a write-ahead log passes through.
 *
 * Threads may use one shim at the same time. Functions that return int return 0, or -1 with errno.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct faulty_vfs;

/* What is counted, each from 1, over all files. */
enum faulty_operation {
    FAULTY_READ,
    FAULTY_WRITE,
    FAULTY_SYNC,
    FAULTY_TRUNCATE,
};

enum faulty_fault {
    /* The operation fails, and no other. A write that fails has written its first half. */
    FAULTY_ERROR_ONCE,
    /* The operation fails and all of its kind after it. */
    FAULTY_ERROR_FOR_GOOD,
    /* The operation finds the disk full, as do all of its kind after it. */
    FAULTY_NO_SPACE,
    /* The operation, if a write, still reaches the cache; then nothing works any more. */
    FAULTY_POWER_LOSS,
};

/* What a loss of power leaves of what was not synced. */
enum faulty_remains {
    FAULTY_NOTHING_REMAINS,
    /* All but the end of the last write, from one of its sectors on. */
    FAULTY_LAST_WRITE_IS_TORN,
    /* Any of its sectors, and the file's old size or the new one. */
    FAULTY_SOME_REMAINS,
    /* All of it: not the power went, but the process was killed. */
    FAULTY_ALL_REMAINS,
};

/* What one opening of a file was used for. */
struct faulty_use {
    /* Flags of sqlite3_open_v2(), such as SQLITE_OPEN_MAIN_DB, as xOpen got them. */
    int flags;
    uint64_t writes, truncates, syncs;
    /* How often the write-ahead log's lock for writers was taken, and the one for checkpoints. */
    uint64_t write_locks, checkpoint_locks;
};

/* A new shim, registered under that name and not as the default. NULL with errno. */
struct faulty_vfs *faulty_vfs_register(const char *name);
/* Ends it. All of its files must be closed. */
void faulty_vfs_unregister(struct faulty_vfs *vfs);

/* Has the n-th operation of a kind fail, counted from the start or the last settlement. */
void faulty_vfs_plan(struct faulty_vfs *vfs, enum faulty_operation operation, uint64_t n,
                     enum faulty_fault fault);
/* How many operations of a kind there were, and whether the fault has come. */
uint64_t faulty_vfs_count(struct faulty_vfs *vfs, enum faulty_operation operation);
bool faulty_vfs_has_struck(struct faulty_vfs *vfs);

/* Has the power go, if it has not: the files become what the disk holds, and the next operation
 * finds a machine that has been started again, with no fault planned. EBUSY where a file is
 * open. */
int faulty_vfs_lose_power(struct faulty_vfs *vfs, enum faulty_remains remains, uint64_t seed);

/* The uses of files whose name ends in `suffix`, in the order of opening: how many there are, of
 * which the first `capacity` are put into `uses`. */
int faulty_vfs_uses(struct faulty_vfs *vfs, const char *suffix, struct faulty_use *uses,
                    int capacity);
