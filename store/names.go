package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// cacheLimit bounds how many names either cache holds; a full one starts
// afresh and asks the database again.
const cacheLimit = 1 << 11

// A dictionary gives texts their numbers while a session is written.
type dictionary struct {
	session      int64
	numbers      map[string]int64
	fresh        []string // since the last commit
	find, insert *sql.Stmt
}

func newDictionary(ctx context.Context, conn *sql.Conn, session int64) (*dictionary, error) {
	find, err := conn.PrepareContext(ctx, `SELECT id FROM names WHERE session = ? AND value = ?`)
	if err != nil {
		return nil, err
	}
	insert, err := conn.PrepareContext(ctx, `INSERT INTO names (session, value) VALUES (?, ?)`)
	if err != nil {
		return nil, errors.Join(err, find.Close())
	}
	return &dictionary{session: session, numbers: make(map[string]int64), find: find, insert: insert}, nil
}

func (d *dictionary) close() error {
	if d == nil {
		return nil
	}
	return errors.Join(d.find.Close(), d.insert.Close())
}

// number returns the number of a text, inside a write transaction.
func (d *dictionary) number(ctx context.Context, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if n, ok := d.numbers[text]; ok {
		return n, nil
	}
	var n int64
	err := d.find.QueryRowContext(ctx, d.session, text).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		var res sql.Result
		if res, err = d.insert.ExecContext(ctx, d.session, text); err == nil {
			n, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	if len(d.numbers) >= cacheLimit {
		clear(d.numbers)
	}
	d.numbers[text] = n
	d.fresh = append(d.fresh, text)
	return n, nil
}

func (d *dictionary) committed() { d.fresh = d.fresh[:0] }

// rolledBack forgets what the transaction had added.
func (d *dictionary) rolledBack() {
	for _, text := range d.fresh {
		delete(d.numbers, text)
	}
	d.fresh = d.fresh[:0]
}

// A nameCache gives numbers their texts back. A number is never given out
// twice, so what is cached stays true.
type nameCache struct {
	mu     sync.Mutex
	texts  map[int64]string
	spared bool           // what is not there is named by its number
	lost   map[int64]bool // where spared: the numbers of what is not there
}

func newNameCache() *nameCache { return &nameCache{texts: map[int64]string{0: ""}} }

// resolve returns the texts of the given numbers, in place of them.
func (c *nameCache) resolve(ctx context.Context, db *sql.DB, numbers []int64, texts []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range numbers {
		text, ok := c.texts[n]
		if !ok {
			err := db.QueryRowContext(ctx, `SELECT value FROM names WHERE id = ?`, n).Scan(&text)
			if errors.Is(err, sql.ErrNoRows) && c.spared {
				text, err = fmt.Sprintf("(lost name %d)", n), nil
				c.lost[n] = true
			}
			if err != nil {
				return err
			}
			if len(c.texts) >= cacheLimit {
				clear(c.texts)
				c.texts[0] = ""
			}
			c.texts[n] = text
		}
		texts[i] = text
	}
	return nil
}
