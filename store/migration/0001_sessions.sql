-- A session is one recording, replay or import. Times are nanoseconds since
-- 1970 UTC unless said otherwise; text lists hold one element a line.
CREATE TABLE sessions (
  id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice
  name       TEXT    NOT NULL UNIQUE,
  origin     TEXT    NOT NULL, -- record, replay, mock, import, demo, sim, ring
  broker     TEXT    NOT NULL, -- URL without password
  identity   TEXT    NOT NULL, -- of the broker's process
  addresses  TEXT    NOT NULL, -- list
  host       TEXT    NOT NULL,
  mode       TEXT    NOT NULL,
  queues     TEXT    NOT NULL, -- list
  topics     TEXT    NOT NULL, -- list
  site_tz    TEXT    NOT NULL,
  tz_assumed INTEGER NOT NULL,
  redacted   INTEGER NOT NULL,
  parent     INTEGER,          -- a session of this store, which may be gone
  note       TEXT    NOT NULL,
  program    TEXT    NOT NULL, -- version of the program that wrote it
  started_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL, -- the writer was alive then
  ended_at   INTEGER,
  end_reason TEXT    NOT NULL,
  last_seq   INTEGER NOT NULL DEFAULT 0,
  last_mono  INTEGER NOT NULL DEFAULT 0,
  commands   INTEGER NOT NULL DEFAULT 0,
  events     INTEGER NOT NULL DEFAULT 0,
  peers      INTEGER NOT NULL DEFAULT 0,
  gaps       INTEGER NOT NULL DEFAULT 0,
  notes      INTEGER NOT NULL DEFAULT 0,
  lost       INTEGER NOT NULL DEFAULT 0,
  indexed    INTEGER NOT NULL  -- version of the rules that filled messages
) STRICT;

-- Sessions whose rows are still being removed.
CREATE TABLE deleted (session INTEGER PRIMARY KEY) STRICT;

-- Texts that come again and again, each once a session. 0 stands for "".
CREATE TABLE names (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  session INTEGER NOT NULL,
  value   TEXT    NOT NULL,
  UNIQUE (session, value)
) STRICT;

-- What was seen. Never changed. Columns that are not measured are names.
CREATE TABLE records (
  id             INTEGER PRIMARY KEY, -- session * 2^40 + seq
  captured_at    INTEGER NOT NULL,
  mono           INTEGER NOT NULL,    -- nanoseconds since the recording began
  sent_at        INTEGER,             -- seconds since 1970 UTC, may be absurd
  sent_ns        INTEGER,             -- and nanoseconds
  direction      INTEGER NOT NULL,    -- 1 command 2 event 3 peer 4 gap 5 note
  source         INTEGER NOT NULL,
  via            INTEGER NOT NULL,
  conn           INTEGER NOT NULL,
  "from"         INTEGER NOT NULL,
  "to"           INTEGER NOT NULL,
  original_to    INTEGER NOT NULL,
  reply_to       INTEGER NOT NULL,
  message_id     TEXT    NOT NULL,
  correlation_id TEXT    NOT NULL,
  jms_type       TEXT,                -- NULL: absent
  body_kind      INTEGER NOT NULL,    -- 1 text 2 bytes 3 map 4 null 5 none 6 unknown
  body           BLOB,
  headers        TEXT,                -- name:value lines, escaped
  masked         TEXT,                -- field:start-end lines, escaped
  truncated      INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger (
  session     INTEGER NOT NULL,
  destination TEXT    NOT NULL,
  received    INTEGER NOT NULL,
  stored      INTEGER NOT NULL,
  doubled     INTEGER NOT NULL,
  filtered    INTEGER NOT NULL,
  lost        INTEGER NOT NULL,
  "foreign"   INTEGER NOT NULL,
  PRIMARY KEY (session, destination)
) STRICT, WITHOUT ROWID;
