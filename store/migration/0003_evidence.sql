-- The chain over a session's records: h = SHA-256(previous || rh), from a first
-- value that chain and derived give.
ALTER TABLE sessions ADD COLUMN chain   BLOB;                       -- its name, 32 random bytes; NULL: written before there were chains
ALTER TABLE sessions ADD COLUMN derived TEXT    NOT NULL DEFAULT ''; -- what was made of another chain, as JSON
ALTER TABLE sessions ADD COLUMN sealed  INTEGER NOT NULL DEFAULT 0;  -- its last checkpoint is the final one
ALTER TABLE records  ADD COLUMN rh      BLOB;                       -- SHA-256 of the record

-- A signed statement that the chain had this head. Those of another chain than
-- the session's own belong to the original of a slice.
CREATE TABLE checkpoints (
  session   INTEGER NOT NULL,
  chain     BLOB    NOT NULL,
  number    INTEGER NOT NULL, -- 0 is the beginning, without records
  first     INTEGER NOT NULL, -- seq of the first record of the block; 0: it has none
  last      INTEGER NOT NULL, -- seq of the last record so far
  count     INTEGER NOT NULL, -- records of the chain so far
  head      BLOB    NOT NULL,
  root      BLOB    NOT NULL, -- Merkle root of the block's rh
  facts     BLOB    NOT NULL, -- SHA-256 of what the session says of itself
  sealed    INTEGER NOT NULL, -- the final one
  at        INTEGER NOT NULL,
  key       BLOB    NOT NULL, -- public, Ed25519
  signature BLOB    NOT NULL,
  PRIMARY KEY (session, chain, number)
) STRICT, WITHOUT ROWID;

-- Names, notes, marks and accesses: a chain of its own, which may grow after
-- the session is sealed.
CREATE TABLE annotations (
  session   INTEGER NOT NULL,
  number    INTEGER NOT NULL, -- from 1
  at        INTEGER NOT NULL,
  kind      TEXT    NOT NULL, -- name, note, mark, prune, export, import
  seq       INTEGER NOT NULL, -- of the record it is about; 0: the session
  text      TEXT    NOT NULL,
  head      BLOB    NOT NULL,
  key       BLOB    NOT NULL, -- empty: not signed
  signature BLOB    NOT NULL,
  PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

-- Where a record of a slice stands in its original.
CREATE TABLE proofs (
  id    INTEGER PRIMARY KEY, -- that of the record
  block INTEGER NOT NULL,    -- number of the original's checkpoint
  leaf  INTEGER NOT NULL,    -- place in the block, from 0
  size  INTEGER NOT NULL,    -- records of the block
  path  BLOB    NOT NULL     -- hashes from the leaf's neighbour up
) STRICT;
