// SQLite's C interface, and what of it Swift cannot import: a macro that is a cast, and functions
// of variable arguments.

#ifndef CSQLITE_H
#define CSQLITE_H

#include <sqlite3.h>

/// SQLITE_STATIC: SQLite copies nothing; what is bound stays where it is until it is bound anew.
static inline sqlite3_destructor_type csqlite_static(void) {
    return SQLITE_STATIC;
}

/// Has SQLite keep no count of its memory, and so take no lock for each piece of it. To be called
/// before anything else; SQLITE_MISUSE where that is too late. Returns the result code.
static inline int csqlite_disable_memory_statistics(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/// Turns one of the on/off options of sqlite3_db_config() on or off. Returns its result code.
static inline int csqlite_db_config(sqlite3 *db, int option, int on) {
    return sqlite3_db_config(db, option, on, (int *)0);
}

#endif
