-- What decoding made of a record when it was written. An index only: it can be
-- dropped and worked out again. Names unless said otherwise; gap and note rows
-- have none.
CREATE TABLE messages (
  id           INTEGER PRIMARY KEY, -- that of the record
  name         INTEGER NOT NULL,
  agent        INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  subject      INTEGER NOT NULL,
  sender       INTEGER NOT NULL,
  basis        INTEGER NOT NULL,
  dialog       INTEGER NOT NULL,
  severity     INTEGER NOT NULL     -- of the worst finding: 0 none 1 note 2 warning 3 error
) STRICT;

CREATE INDEX messages_name         ON messages (name);
CREATE INDEX messages_agent        ON messages (agent)        WHERE agent > 0;
CREATE INDEX messages_conversation ON messages (conversation) WHERE conversation > 0;
CREATE INDEX messages_dialog       ON messages (dialog)       WHERE dialog > 0;
CREATE INDEX messages_severity     ON messages (severity)     WHERE severity > 1;
