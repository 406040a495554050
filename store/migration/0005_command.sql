-- What the recording was asked to do: a durable tap that is started again with
-- the same takes its session up.
ALTER TABLE sessions ADD COLUMN command TEXT NOT NULL DEFAULT '';
