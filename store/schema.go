package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
)

//go:embed migration/*.sql
var migrations embed.FS

// applicationID marks the file as ours in its header ("gctp").
const applicationID = 0x67637470

// errForeign is what check and migrate find wrong with a file as a whole. Its
// text follows the file's name.
type errForeign string

func (e errForeign) Error() string { return string(e) }

// migrationFiles returns the steps of the schema in order; step n leads from
// version n to n+1.
func migrationFiles() []string {
	entries, err := migrations.ReadDir("migration")
	if err != nil { // the files are part of the program
		panic(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = "migration/" + e.Name()
	}
	return names
}

// check looks at an existing file through a connection that cannot write, and
// refuses what is not ours or too new. It returns the schema's version, 0 for
// an empty file.
func check(ctx context.Context, db *sql.DB) (version int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if version, err = headerVersion(ctx, conn); err != nil {
		return 0, err
	}
	return version, noCode(ctx, conn)
}

// readable refuses a version that has to be migrated before it can be read.
func readable(version int) error {
	switch known := len(migrationFiles()); {
	case version == 0:
		return errForeign("holds no sessions yet: record something first, or name another with --db")
	case version < known:
		return errForeign(fmt.Sprintf("has the older schema %d: any recording into it, or `gctap sessions note`, brings it to %d", version, known))
	}
	return nil
}

// migrate makes the schema or brings it up to date, each step in one
// transaction. Two programs may try at the same time: the second finds it done.
func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	version, err := headerVersion(ctx, conn)
	if err != nil {
		return err
	}
	files := migrationFiles()
	for version < len(files) {
		err := transact(ctx, conn, func(ctx context.Context, conn *sql.Conn) error {
			if version, err = headerVersion(ctx, conn); err != nil || version >= len(files) {
				return err
			}
			return migrateStep(ctx, conn, files[version], version+1)
		})
		if err != nil {
			return err
		}
		version++
	}
	return nil
}

func migrateStep(ctx context.Context, conn *sql.Conn, file string, version int) error {
	text, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	text = fmt.Appendf(text, "PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, version)
	if _, err := conn.ExecContext(ctx, string(text)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// headerVersion returns the schema version of our file, 0 for an empty one.
func headerVersion(ctx context.Context, conn *sql.Conn) (version int, err error) {
	var application, tables int
	err = conn.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_master)`).
		Scan(&application, &version, &tables)
	if err != nil {
		return 0, err
	}
	if application != applicationID && (application != 0 || tables > 0 || version != 0) {
		return 0, errForeign("is a database of another program: name another file with --db")
	}
	if known := len(migrationFiles()); version > known {
		return 0, errForeign(fmt.Sprintf("was written by a newer gctap (schema %d, this one knows %d): use that one", version, known))
	}
	return version, nil
}

// noCode refuses triggers and views. Our schema has none; in a stranger's file
// they would run as part of our own statements.
func noCode(ctx context.Context, conn *sql.Conn) error {
	var kind, name string
	err := conn.QueryRowContext(ctx, `SELECT type, name FROM sqlite_master WHERE type IN ('trigger','view') LIMIT 1`).Scan(&kind, &name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return errForeign(fmt.Sprintf("holds a %s of its own (%q), which no store does: it is not opened", kind, name))
}
