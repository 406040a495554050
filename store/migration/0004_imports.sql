ALTER TABLE sessions ADD COLUMN imported_at INTEGER; -- NULL: it was recorded into this store
