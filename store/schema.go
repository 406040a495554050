package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
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
	if version == 0 {
		return 0, nil
	}
	return version, noCode(ctx, conn, version)
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

// noCode refuses what is not our schema: in a stranger's file, triggers, views,
// generated columns, checks and indexes on expressions would run as part of our
// own statements.
func noCode(ctx context.Context, conn *sql.Conn, version int) error {
	want, err := schemaOf(version)
	if err != nil {
		return err
	}
	have, err := readSchema(ctx, conn, len(want)+1)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if kind, name, _ := strings.Cut(name, " "); kind == "trigger" || kind == "view" {
			return errForeign(fmt.Sprintf("holds a %s of its own (%q), which no store does: it is not opened", kind, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		text := have[name]
		switch ours, known := want[name]; {
		case !known:
			return errForeign(fmt.Sprintf("holds something that no store does (%q): it is not opened", name))
		case ours != text:
			return errForeign(fmt.Sprintf("has another %s than a store of schema %d: it is not opened", name, version))
		}
	}
	for name := range want {
		if _, there := have[name]; !there && !strings.HasPrefix(name, "index ") {
			return errForeign(fmt.Sprintf("lacks the %s of a store of schema %d: it is not opened", name, version))
		}
	}
	return nil
}

// schemaOf returns the schema of a version as SQLite writes it down.
func schemaOf(version int) (map[string]string, error) {
	if version == 0 {
		return nil, nil
	}
	if version == len(migrationFiles()) {
		return currentSchema()
	}
	return makeSchema(version)
}

var currentSchema = sync.OnceValues(func() (map[string]string, error) { return makeSchema(len(migrationFiles())) })

func makeSchema(version int) (map[string]string, error) {
	db, err := sql.Open(driverName, ":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for i, file := range migrationFiles()[:version] {
		if err := migrateStep(ctx, conn, file, i+1); err != nil {
			return nil, err
		}
	}
	return readSchema(ctx, conn, 1000)
}

// ownTables are SQLite's own, as it writes them down; ANALYZE makes those of
// statistics.
var ownTables = map[string]string{
	"table sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)",
	"table sqlite_stat1":    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
	"table sqlite_stat4":    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}

// readSchema returns the texts of a file's tables, indexes, triggers and views
// by their kind and name. SQLite's own are left out, but only where they are
// what SQLite makes them: anything else may go by their names, or be there
// twice. More than limit are not read.
func readSchema(ctx context.Context, conn *sql.Conn, limit int) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_master
		WHERE NOT (type = 'index' AND sql IS NULL AND name LIKE 'sqlite\_autoindex\_%' ESCAPE '\') LIMIT ?`, limit+len(ownTables))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	schema := map[string]string{}
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		key := kind + " " + name
		if own := ownTables[key]; own != "" && own == text {
			continue
		}
		if _, twice := schema[key]; twice {
			key += " (again)"
		}
		schema[key] = text
	}
	return schema, rows.Err()
}
