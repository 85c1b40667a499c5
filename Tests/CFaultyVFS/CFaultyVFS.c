#define _GNU_SOURCE
#include "CFaultyVFS.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, OPERATIONS = 4 };

/* Bytes of the write-ahead log's shared memory that are locked: "WAL Locks" in
 * https://www.sqlite.org/walformat.html. Recovery takes the checkpoints' lock together with the
 * next one. */
enum { WRITE_LOCK = 0, CHECKPOINT_LOCK = 1 };

/* A sector that the cache and the disk may have different contents of. */
struct sector {
    unsigned char durable[SECTOR];
    /* A sync that failed has marked it clean. */
    bool is_forgotten;
};

/* A file, open or not. */
struct stored_file {
    struct stored_file *next;
    char *path;
    sqlite3_int64 durable_size;
    bool has_durable_name;
    /* By position in the file; NULL where cache and disk agree. */
    struct sector **sectors;
    sqlite3_int64 sector_count;
};

struct recorded_use {
    struct recorded_use *next;
    char *path;
    struct faulty_use use;
};

struct faulty_vfs {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    pthread_mutex_t mutex;
    struct stored_file *files;
    struct recorded_use *uses, **last_use;
    int open_files;

    uint64_t counts[OPERATIONS];
    bool is_planned, has_struck, has_lost_power;
    enum faulty_operation operation;
    uint64_t n;
    enum faulty_fault fault;

    /* The last write, for tearing it. */
    struct stored_file *written;
    sqlite3_int64 written_from, written_to;
};

struct faulty_file {
    sqlite3_file base;
    struct faulty_vfs *vfs;
    /* NULL for a temporary file without a name. */
    struct stored_file *stored;
    struct recorded_use *record;
    sqlite3_file *real;
};

static struct faulty_file *faulty(sqlite3_file *file) { return (struct faulty_file *)file; }

static sqlite3_file *real(sqlite3_file *file) { return faulty(file)->real; }

/* Memory that a test cannot do without. */
static void *allocated(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) abort();
    return memory;
}

static char *copied(const char *text)
{
    char *copy = strdup(text);
    if (!copy) abort();
    return copy;
}

/* MARK: Faults */

static int error_of(enum faulty_operation operation)
{
    switch (operation) {
    case FAULTY_READ: return SQLITE_IOERR_READ;
    case FAULTY_WRITE: return SQLITE_IOERR_WRITE;
    case FAULTY_SYNC: return SQLITE_IOERR_FSYNC;
    case FAULTY_TRUNCATE: return SQLITE_IOERR_TRUNCATE;
    }
    abort();
}

/* Counts an operation: SQLITE_OK, or how it fails. */
static int strike(struct faulty_vfs *vfs, enum faulty_operation operation)
{
    if (vfs->has_lost_power) return error_of(operation);
    uint64_t count = ++vfs->counts[operation];
    if (!vfs->is_planned || operation != vfs->operation || count < vfs->n) return SQLITE_OK;
    if (count > vfs->n && vfs->fault == FAULTY_ERROR_ONCE) return SQLITE_OK;
    vfs->has_struck = true;
    if (vfs->fault == FAULTY_POWER_LOSS) vfs->has_lost_power = true;
    return vfs->fault == FAULTY_NO_SPACE ? SQLITE_FULL : error_of(operation);
}

/* MARK: What the disk holds */

static struct stored_file *stored_file(struct faulty_vfs *vfs, const char *path)
{
    for (struct stored_file *file = vfs->files; file; file = file->next) {
        if (!strcmp(file->path, path)) return file;
    }
    struct stored_file *file = allocated(sizeof *file);
    struct stat status;
    file->path = copied(path);
    file->has_durable_name = stat(path, &status) == 0;
    file->durable_size = file->has_durable_name ? status.st_size : 0;
    file->next = vfs->files;
    vfs->files = file;
    return file;
}

static void forget_sectors(struct stored_file *file)
{
    for (sqlite3_int64 index = 0; index < file->sector_count; index++) {
        free(file->sectors[index]);
    }
    free(file->sectors);
    file->sectors = NULL;
    file->sector_count = 0;
}

static void make_room(struct stored_file *file, sqlite3_int64 count)
{
    if (count <= file->sector_count) return;
    count += count / 2;
    struct sector **sectors = realloc(file->sectors, (size_t)count * sizeof *sectors);
    if (!sectors) abort();
    memset(sectors + file->sector_count, 0,
           (size_t)(count - file->sector_count) * sizeof *sectors);
    file->sectors = sectors;
    file->sector_count = count;
}

/* Keeps what the disk holds of these bytes, before the cache changes. */
static void keep_durable(struct faulty_file *file, sqlite3_int64 from, sqlite3_int64 to)
{
    struct stored_file *stored = file->stored;
    if (!stored || from >= to) return;
    sqlite3_int64 end = (to + SECTOR - 1) / SECTOR;
    make_room(stored, end);
    for (sqlite3_int64 index = from / SECTOR; index < end; index++) {
        struct sector *sector = stored->sectors[index];
        if (!sector) {
            sector = stored->sectors[index] = allocated(sizeof *sector);
            /* A read beyond the end fills with zeros. */
            int result = file->real->pMethods->xRead(file->real, sector->durable, SECTOR,
                                                     index * SECTOR);
            if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) abort();
        }
        sector->is_forgotten = false;
    }
}

static void note_synced(struct faulty_file *file)
{
    struct stored_file *stored = file->stored;
    if (!stored) return;
    for (sqlite3_int64 index = 0; index < stored->sector_count; index++) {
        struct sector *sector = stored->sectors[index];
        if (!sector || sector->is_forgotten) continue;
        free(sector);
        stored->sectors[index] = NULL;
    }
    stored->has_durable_name = true;
    file->real->pMethods->xFileSize(file->real, &stored->durable_size);
}

static void note_not_synced(struct stored_file *stored)
{
    for (sqlite3_int64 index = 0; stored && index < stored->sector_count; index++) {
        if (stored->sectors[index]) stored->sectors[index]->is_forgotten = true;
    }
}

/* MARK: A file */

static int file_close(sqlite3_file *file)
{
    struct faulty_vfs *vfs = faulty(file)->vfs;
    int result = real(file)->pMethods ? real(file)->pMethods->xClose(real(file)) : SQLITE_OK;
    pthread_mutex_lock(&vfs->mutex);
    vfs->open_files--;
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
    struct faulty_vfs *vfs = faulty(file)->vfs;
    pthread_mutex_lock(&vfs->mutex);
    int result = strike(vfs, FAULTY_READ);
    pthread_mutex_unlock(&vfs->mutex);
    return result == SQLITE_OK ? real(file)->pMethods->xRead(real(file), bytes, count, offset)
                               : result;
}

/* Writes to the cache. */
static int write_through(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    struct faulty_vfs *vfs = faulty(file)->vfs;
    keep_durable(faulty(file), offset, offset + count);
    vfs->written = faulty(file)->stored;
    vfs->written_from = offset;
    vfs->written_to = offset + count;
    return real(file)->pMethods->xWrite(real(file), bytes, count, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    struct faulty_vfs *vfs = faulty(file)->vfs;
    pthread_mutex_lock(&vfs->mutex);
    faulty(file)->record->use.writes++;
    bool had_power = !vfs->has_lost_power;
    int fault = strike(vfs, FAULTY_WRITE);
    int result = SQLITE_OK;
    if (fault == SQLITE_OK || (had_power && vfs->has_lost_power)) {
        result = write_through(file, bytes, count, offset);
    } else if (had_power && fault != SQLITE_FULL) {
        result = write_through(file, bytes, count / 2, offset);
    }
    pthread_mutex_unlock(&vfs->mutex);
    return fault == SQLITE_OK ? result : fault;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct faulty_vfs *vfs = faulty(file)->vfs;
    sqlite3_int64 old_size = 0;
    pthread_mutex_lock(&vfs->mutex);
    faulty(file)->record->use.truncates++;
    int result = strike(vfs, FAULTY_TRUNCATE);
    if (result == SQLITE_OK) result = real(file)->pMethods->xFileSize(real(file), &old_size);
    if (result == SQLITE_OK) {
        keep_durable(faulty(file), size, old_size);
        result = real(file)->pMethods->xTruncate(real(file), size);
    }
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}

/* Nothing is really synced: the disk is the one that this shim keeps. */
static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    struct faulty_vfs *vfs = faulty(file)->vfs;
    pthread_mutex_lock(&vfs->mutex);
    faulty(file)->record->use.syncs++;
    int result = strike(vfs, FAULTY_SYNC);
    if (result == SQLITE_OK) {
        note_synced(faulty(file));
    } else if (!vfs->has_lost_power) {
        note_not_synced(faulty(file)->stored);
    }
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int file_check_reserved_lock(sqlite3_file *file, int *is_held)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), is_held);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int file_device_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **map)
{
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, map);
}

static int file_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    int result = real(file)->pMethods->xShmLock(real(file), first, count, flags);
    int taken = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
    if (result == SQLITE_OK && (flags & taken) == taken && count == 1) {
        struct faulty_vfs *vfs = faulty(file)->vfs;
        pthread_mutex_lock(&vfs->mutex);
        if (first == WRITE_LOCK) faulty(file)->record->use.write_locks++;
        if (first == CHECKPOINT_LOCK) faulty(file)->record->use.checkpoint_locks++;
        pthread_mutex_unlock(&vfs->mutex);
    }
    return result;
}

static void file_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int file_shm_unmap(sqlite3_file *file, int deletes)
{
    return real(file)->pMethods->xShmUnmap(real(file), deletes);
}

/* Version 2: without xFetch, since nothing is mapped into memory. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* MARK: The file system */

static struct faulty_vfs *shim(sqlite3_vfs *vfs) { return (struct faulty_vfs *)vfs; }

static struct recorded_use *record(struct faulty_vfs *vfs, const char *path, int flags)
{
    struct recorded_use *use = allocated(sizeof *use);
    use->path = copied(path ? path : "");
    use->use.flags = flags;
    *vfs->last_use = use;
    vfs->last_use = &use->next;
    return use;
}

static int vfs_open(sqlite3_vfs *base, sqlite3_filename path, sqlite3_file *opened, int flags,
                    int *flags_out)
{
    struct faulty_vfs *vfs = shim(base);
    struct faulty_file *file = faulty(opened);
    memset(file, 0, sizeof *file);
    pthread_mutex_lock(&vfs->mutex);
    int result = vfs->has_lost_power ? SQLITE_CANTOPEN : SQLITE_OK;
    struct stored_file *stored = result == SQLITE_OK && path ? stored_file(vfs, path) : NULL;
    file->real = (sqlite3_file *)(file + 1);
    if (result == SQLITE_OK) {
        result = vfs->real->xOpen(vfs->real, path, file->real, flags, flags_out);
    }
    if (result == SQLITE_OK) {
        file->vfs = vfs;
        file->stored = stored;
        file->record = record(vfs, path, flags);
        file->base.pMethods = &methods;
        vfs->open_files++;
    }
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int syncs_directory)
{
    struct faulty_vfs *vfs = shim(base);
    pthread_mutex_lock(&vfs->mutex);
    int result = SQLITE_IOERR_DELETE;
    if (!vfs->has_lost_power) {
        struct stored_file *stored = stored_file(vfs, path);
        forget_sectors(stored);
        stored->durable_size = 0;
        stored->has_durable_name = false;
        result = vfs->real->xDelete(vfs->real, path, syncs_directory);
    }
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *answer)
{
    return shim(base)->real->xAccess(shim(base)->real, path, flags, answer);
}

static int vfs_full_pathname(sqlite3_vfs *base, const char *path, int capacity, char *full)
{
    return shim(base)->real->xFullPathname(shim(base)->real, path, capacity, full);
}

static int vfs_randomness(sqlite3_vfs *base, int count, char *bytes)
{
    return shim(base)->real->xRandomness(shim(base)->real, count, bytes);
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
    return shim(base)->real->xSleep(shim(base)->real, microseconds);
}

static int vfs_current_time(sqlite3_vfs *base, double *day)
{
    return shim(base)->real->xCurrentTime(shim(base)->real, day);
}

static int vfs_current_time_int64(sqlite3_vfs *base, sqlite3_int64 *milliseconds)
{
    return shim(base)->real->xCurrentTimeInt64(shim(base)->real, milliseconds);
}

static int vfs_last_error(sqlite3_vfs *base, int capacity, char *text)
{
    return shim(base)->real->xGetLastError(shim(base)->real, capacity, text);
}

struct faulty_vfs *faulty_vfs_register(const char *name)
{
    struct faulty_vfs *vfs = allocated(sizeof *vfs);
    vfs->real = sqlite3_vfs_find(NULL);
    vfs->last_use = &vfs->uses;
    pthread_mutex_init(&vfs->mutex, NULL);
    vfs->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct faulty_file) + vfs->real->szOsFile,
        .mxPathname = vfs->real->mxPathname,
        .zName = copied(name),
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xCurrentTimeInt64 = vfs_current_time_int64,
        .xGetLastError = vfs_last_error,
    };
    if (sqlite3_vfs_register(&vfs->vfs, 0) != SQLITE_OK) {
        faulty_vfs_unregister(vfs);
        errno = EINVAL;
        return NULL;
    }
    return vfs;
}

void faulty_vfs_unregister(struct faulty_vfs *vfs)
{
    sqlite3_vfs_unregister(&vfs->vfs);
    for (struct stored_file *file = vfs->files, *next; file; file = next) {
        next = file->next;
        forget_sectors(file);
        free(file->path);
        free(file);
    }
    for (struct recorded_use *use = vfs->uses, *next; use; use = next) {
        next = use->next;
        free(use->path);
        free(use);
    }
    pthread_mutex_destroy(&vfs->mutex);
    free((char *)vfs->vfs.zName);
    free(vfs);
}

void faulty_vfs_plan(struct faulty_vfs *vfs, enum faulty_operation operation, uint64_t n,
                     enum faulty_fault fault)
{
    pthread_mutex_lock(&vfs->mutex);
    vfs->is_planned = true;
    vfs->operation = operation;
    vfs->n = n;
    vfs->fault = fault;
    pthread_mutex_unlock(&vfs->mutex);
}

uint64_t faulty_vfs_count(struct faulty_vfs *vfs, enum faulty_operation operation)
{
    pthread_mutex_lock(&vfs->mutex);
    uint64_t count = vfs->counts[operation];
    pthread_mutex_unlock(&vfs->mutex);
    return count;
}

bool faulty_vfs_has_struck(struct faulty_vfs *vfs)
{
    pthread_mutex_lock(&vfs->mutex);
    bool has_struck = vfs->has_struck;
    pthread_mutex_unlock(&vfs->mutex);
    return has_struck;
}

int faulty_vfs_uses(struct faulty_vfs *vfs, const char *suffix, struct faulty_use *uses,
                    int capacity)
{
    int count = 0;
    size_t length = strlen(suffix);
    pthread_mutex_lock(&vfs->mutex);
    for (struct recorded_use *use = vfs->uses; use; use = use->next) {
        size_t path_length = strlen(use->path);
        if (path_length < length || strcmp(use->path + path_length - length, suffix)) continue;
        if (count < capacity) uses[count] = use->use;
        count++;
    }
    pthread_mutex_unlock(&vfs->mutex);
    return count;
}

/* MARK: Loss of power */

/* SplitMix64 (Steele, Lea, Flood, 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

struct loss {
    enum faulty_remains remains;
    uint64_t random;
    /* Of the file that was written last: the sectors from this one to the last written are gone. */
    sqlite3_int64 torn_from, torn_to;
};

static bool sector_is_lost(struct loss *loss, const struct sector *sector, sqlite3_int64 index,
                           bool was_written_last)
{
    if (loss->remains == FAULTY_ALL_REMAINS) return false;
    /* What a failed sync marked clean is not written later, whatever is. */
    if (sector->is_forgotten) return true;
    switch (loss->remains) {
    case FAULTY_ALL_REMAINS: return false;
    case FAULTY_NOTHING_REMAINS: return true;
    case FAULTY_LAST_WRITE_IS_TORN:
        return was_written_last && index >= loss->torn_from && index < loss->torn_to;
    case FAULTY_SOME_REMAINS: return next_random(&loss->random) & 1;
    }
    abort();
}

static sqlite3_int64 size_left(struct loss *loss, const struct stored_file *file,
                               sqlite3_int64 size)
{
    switch (loss->remains) {
    case FAULTY_NOTHING_REMAINS: return file->durable_size;
    case FAULTY_ALL_REMAINS:
    case FAULTY_LAST_WRITE_IS_TORN: return size;
    case FAULTY_SOME_REMAINS: return next_random(&loss->random) & 1 ? file->durable_size : size;
    }
    abort();
}

static int put_back(struct loss *loss, struct stored_file *file, bool was_written_last, int disk)
{
    struct stat status;
    if (fstat(disk, &status)) return -1;
    sqlite3_int64 size = size_left(loss, file, status.st_size);
    for (sqlite3_int64 index = 0; index < file->sector_count; index++) {
        struct sector *sector = file->sectors[index];
        off_t offset = (off_t)(index * SECTOR);
        if (!sector || offset >= size) continue;
        bool was_cut = size > status.st_size && offset + SECTOR > status.st_size;
        if (!sector_is_lost(loss, sector, index, was_written_last) && !was_cut) continue;
        if (pwrite(disk, sector->durable, SECTOR, offset) != SECTOR) return -1;
    }
    return ftruncate(disk, (off_t)size);
}

static int settle(struct loss *loss, struct stored_file *file, bool was_written_last)
{
    int result = 0;
    int disk = open(file->path, O_RDWR | O_CLOEXEC);
    if (disk >= 0) {
        result = put_back(loss, file, was_written_last, disk);
        close(disk);
        if (!file->has_durable_name && loss->remains == FAULTY_NOTHING_REMAINS) {
            result = unlink(file->path);
        }
    } else if (errno != ENOENT) {
        result = -1;
    }
    forget_sectors(file);
    return result;
}

int faulty_vfs_lose_power(struct faulty_vfs *vfs, enum faulty_remains remains, uint64_t seed)
{
    pthread_mutex_lock(&vfs->mutex);
    int result = 0;
    if (vfs->open_files) {
        errno = EBUSY;
        result = -1;
    } else {
        struct loss loss = {.remains = remains, .random = seed};
        loss.torn_to = (vfs->written_to + SECTOR - 1) / SECTOR;
        loss.torn_from = vfs->written_from / SECTOR;
        if (loss.torn_to > loss.torn_from) {
            uint64_t sectors = (uint64_t)(loss.torn_to - loss.torn_from);
            loss.torn_from += (sqlite3_int64)(next_random(&loss.random) % sectors);
        }
        for (struct stored_file *file = vfs->files, *next; file && !result; file = next) {
            next = file->next;
            result = settle(&loss, file, file == vfs->written);
            free(file->path);
            free(file);
            vfs->files = next;
        }
        memset(vfs->counts, 0, sizeof vfs->counts);
        vfs->is_planned = vfs->has_struck = vfs->has_lost_power = false;
        vfs->written = NULL;
        vfs->written_from = vfs->written_to = 0;
    }
    pthread_mutex_unlock(&vfs->mutex);
    return result;
}
