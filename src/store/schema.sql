-- Everything that has to move together, moves in one transaction of this database.

-- Facts about the store itself: instance.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- One log with its rotations: where reading stands, and what of its windows is not in fragments.
CREATE TABLE streams (
    name     TEXT PRIMARY KEY,
    path     TEXT NOT NULL,
    position TEXT,
    windows  TEXT,
    -- Checksum of both.
    crc      INTEGER,
    -- Windows before this are pruned: milliseconds.
    floor    INTEGER NOT NULL DEFAULT (-9223372036854775808)
) WITHOUT ROWID;

-- What open windows counted, commit by commit: appended to, never rewritten, gone when the window closes.
CREATE TABLE fragments (
    id         INTEGER PRIMARY KEY,
    stream     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    start      INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    late_until INTEGER,
    crc        INTEGER NOT NULL,
    blob       BLOB NOT NULL
);

-- The log of parts. AUTOINCREMENT: a number is never given twice, so a cursor never skips what took an old number.
CREATE TABLE parts (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,
    stream TEXT NOT NULL,
    start  INTEGER NOT NULL,
    length INTEGER NOT NULL,
    k      INTEGER NOT NULL,
    tags   INTEGER NOT NULL,
    codec  INTEGER NOT NULL,
    crc    INTEGER NOT NULL,
    blob   BLOB NOT NULL
);
CREATE INDEX parts_start ON parts (start);

-- Constant tags as they were when parts closed, as a JSON list of pairs.
CREATE TABLE tag_sets (
    id   INTEGER PRIMARY KEY,
    tags TEXT NOT NULL UNIQUE
);

-- The next part's number of windows that have late parts.
CREATE TABLE late_numbers (
    stream TEXT NOT NULL,
    kind   TEXT NOT NULL,
    start  INTEGER NOT NULL,
    next_k INTEGER NOT NULL,
    PRIMARY KEY (stream, kind, start)
) WITHOUT ROWID;

-- Buckets that are series of their own, and the hour of their last success.
CREATE TABLE admitted (
    stream TEXT NOT NULL,
    bucket TEXT NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (stream, bucket)
) WITHOUT ROWID;

-- An output is a cursor: it has every part up to seq.
CREATE TABLE outputs (
    name     TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL,
    required INTEGER NOT NULL,
    -- Parts it never got, since they were pruned before, or damaged.
    gaps     INTEGER NOT NULL DEFAULT 0,
    -- Points the server refused one by one, and points older than its retention.
    rejected INTEGER NOT NULL DEFAULT 0,
    expired  INTEGER NOT NULL DEFAULT 0,
    -- What it last complained about, empty when all is well.
    trouble  TEXT NOT NULL DEFAULT '',
    -- Who else writes to it as this node, empty for nobody.
    other    TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- Points that a server refused, for an operator to look at, to send again or to drop.
CREATE TABLE quarantine (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    output TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    line   TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX quarantine_output ON quarantine (output);
