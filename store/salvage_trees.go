package store

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A file that was cut off has lost the upper pages of its large tables before
// it has lost their rows: SQLite puts an upper page down when the lower ones
// need it, which may be far behind them. So the upper pages are made again, over
// the lower ones that are there.

// salvaged are the tables that are read when a store is salvaged, with how many
// columns their rows have had in one schema or another.
var salvaged = map[string]struct{ least, most int }{
	"sessions": {29, 34},
	"records":  {21, 22},
	"messages": {9, 9},
	"names":    {3, 3},
}

// Kinds of page, and where a page keeps what.
const (
	upperPage    = 0x05
	lowerPage    = 0x0d
	pageCells    = 3
	pageContent  = 5
	pageRight    = 8 // of an upper page
	upperHead    = 12
	lowerHead    = 8
	upperCell    = 4 + 9 + 2 // at the most, with its place in the list
	lockPageByte = 0x40000000
)

// A leaf is a page that holds rows, or one above such pages.
type leaf struct {
	first, last int64 // keys
	page        uint32
}

// pagedFile is a copy whose pages are mended.
type pagedFile struct {
	*os.File
	size  int64  // of a page
	room  int    // of it that SQLite uses
	whole int64  // pages that are the original's
	pages uint32 // all of them
}

func openPaged(path string, whole int64) (*pagedFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	head := make([]byte, headLength)
	if _, err := f.ReadAt(head, 0); err != nil {
		f.Close()
		return nil, err
	}
	size := pageSize(head)
	return &pagedFile{f, size, int(size) - int(head[headReserved]), whole, binary.BigEndian.Uint32(head[headPages:])}, nil
}

// mendTrees makes the upper pages of the tables again, in a copy of which only
// the first pages are the original's.
func mendTrees(ctx context.Context, path string, whole int64) error {
	roots, err := rootPages(ctx, path)
	if err != nil {
		return err
	}
	f, err := openPaged(path, whole)
	if err != nil {
		return err
	}
	defer f.Close()
	leaves, err := f.leaves(roots)
	if err != nil {
		return err
	}
	for name, root := range roots {
		if root > f.pages { // it was never in the file
			continue
		}
		if err := f.grow(root, leaves[name]); err != nil {
			return err
		}
	}
	var count, none [4]byte
	binary.BigEndian.PutUint32(count[:], f.pages)
	for at, b := range map[int64][4]byte{headPages: count, headLargestRoot: none, headVacuum: none} { // the map of pages is not kept up
		if _, err := f.WriteAt(b[:], at); err != nil {
			return err
		}
	}
	return f.Truncate(int64(f.pages) * f.size)
}

func rootPages(ctx context.Context, path string) (map[string]uint32, error) {
	db := openDB(path, "ro", "_query_only=1")
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT name, rootpage FROM sqlite_master WHERE type = 'table' AND rootpage BETWEEN 2 AND 4294967294`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	roots, taken := map[string]uint32{}, map[uint32]bool{}
	for rows.Next() {
		var name string
		var root uint32
		if err := rows.Scan(&name, &root); err != nil {
			return nil, err
		}
		if _, ours := salvaged[name]; ours && !taken[root] {
			roots[name], taken[root] = root, true
		}
	}
	return roots, rows.Err()
}

// leaves finds the pages of each table that hold rows, in the order of their
// keys. What lies across another is left out: a damaged file may hold anything.
func (f *pagedFile) leaves(roots map[string]uint32) (map[string][]leaf, error) {
	found := map[string][]leaf{}
	in := bufio.NewReaderSize(io.NewSectionReader(f, f.size, (f.whole-1)*f.size), 1<<20)
	buf := make([]byte, f.size)
	for page := uint32(2); int64(page) <= f.whole; page++ {
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, err
		}
		columns, first, last, ok := readLeaf(buf)
		if !ok {
			continue
		}
		for name, root := range roots {
			if n := salvaged[name]; root != page && n.least <= columns && columns <= n.most {
				found[name] = append(found[name], leaf{first, last, page})
			}
		}
	}
	for name, list := range found {
		slices.SortFunc(list, func(a, b leaf) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.page, b.page)) })
		sound := list[:0]
		for _, one := range list {
			if len(sound) == 0 || one.first > sound[len(sound)-1].last {
				sound = append(sound, one)
			}
		}
		found[name] = sound
	}
	return found, nil
}

// readLeaf returns the columns of a page's first row, and the keys of its first
// and last one. It is not ok for a page of any other kind, and for rows whose
// first column is not their key.
func readLeaf(page []byte) (columns int, first, last int64, ok bool) {
	cells := int(binary.BigEndian.Uint16(page[pageCells:]))
	if page[0] != lowerPage || cells == 0 || lowerHead+2*cells > len(page) {
		return 0, 0, 0, false
	}
	row := func(n int) ([]byte, int64, bool) {
		at := int(binary.BigEndian.Uint16(page[lowerHead+2*n:]))
		_, rest, ok := varint(page[min(at, len(page)):])
		key, rest, ok2 := varint(rest)
		return rest, key, ok && ok2
	}
	rest, first, ok := row(0)
	_, last, ok2 := row(cells - 1)
	length, types, ok3 := varint(rest)
	prefix := len(rest) - len(types)
	if !ok || !ok2 || !ok3 || last < first || length <= int64(prefix) || length > int64(len(rest)) || types[0] != 0 {
		return 0, 0, 0, false
	}
	for types = types[:length-int64(prefix)]; len(types) > 0; columns++ {
		if _, types, ok = varint(types); !ok {
			return 0, 0, 0, false
		}
	}
	return columns, first, last, true
}

// varint reads one of SQLite's numbers and returns what follows it.
func varint(b []byte) (n int64, rest []byte, ok bool) {
	for i := 0; i < len(b); i++ {
		if i == 8 {
			return n<<8 | int64(b[8]), b[9:], true
		}
		n = n<<7 | int64(b[i]&0x7f)
		if b[i] < 0x80 {
			return n, b[i+1:], true
		}
	}
	return 0, nil, false
}

// appendVarint is varint's reverse.
func appendVarint(b []byte, n int64) []byte {
	u := uint64(n)
	if u>>56 != 0 {
		for shift := 57; shift >= 8; shift -= 7 {
			b = append(b, byte(u>>shift)|0x80)
		}
		return append(b, byte(u))
	}
	shift := 0
	for u>>(shift+7) != 0 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		b = append(b, byte(u>>shift)|0x80)
	}
	return append(b, byte(u&0x7f))
}

// grow puts a tree over leaves, with its top at root. A root that holds rows
// itself has none and needs none.
func (f *pagedFile) grow(root uint32, leaves []leaf) error {
	buf := make([]byte, f.size)
	if _, err := f.ReadAt(buf, int64(root-1)*f.size); err != nil && err != io.EOF {
		return err
	}
	if buf[0] == lowerPage && int64(root) <= f.whole {
		return nil
	}
	if most := (f.room - upperHead) / upperCell; len(leaves) > most {
		var err error
		if leaves, err = f.layer(leaves, most); err != nil {
			return err
		}
		return f.grow(root, leaves)
	}
	if len(leaves) == 1 { // an upper page has two below it
		if _, err := f.ReadAt(buf, int64(leaves[0].page-1)*f.size); err != nil {
			return err
		}
	} else {
		buf = f.upper(leaves)
	}
	_, err := f.WriteAt(buf, int64(root-1)*f.size)
	return err
}

// layer puts upper pages over pages, and returns them.
func (f *pagedFile) layer(below []leaf, most int) ([]leaf, error) {
	var above []leaf
	for len(below) > 0 {
		n := min(most, len(below))
		if len(below)-n == 1 {
			n-- // none stands alone
		}
		f.pages++
		if f.pages == uint32(lockPageByte/f.size)+1 {
			f.pages++ // SQLite keeps it free
		}
		if _, err := f.WriteAt(f.upper(below[:n]), int64(f.pages-1)*f.size); err != nil {
			return nil, err
		}
		above = append(above, leaf{below[0].first, below[n-1].last, f.pages})
		below = below[n:]
	}
	return above, nil
}

// upper is the page over pages; over none, a table without rows.
func (f *pagedFile) upper(below []leaf) []byte {
	buf := make([]byte, f.size)
	if len(below) == 0 {
		buf[0] = lowerPage
		binary.BigEndian.PutUint16(buf[pageContent:], uint16(f.room))
		return buf
	}
	buf[0] = upperPage
	right, at := below[len(below)-1], f.room
	for i, one := range below[:len(below)-1] {
		cell := appendVarint(binary.BigEndian.AppendUint32(nil, one.page), one.last)
		at -= len(cell)
		copy(buf[at:], cell)
		binary.BigEndian.PutUint16(buf[upperHead+2*i:], uint16(at))
	}
	binary.BigEndian.PutUint16(buf[pageCells:], uint16(len(below)-1))
	binary.BigEndian.PutUint16(buf[pageContent:], uint16(at))
	binary.BigEndian.PutUint32(buf[pageRight:], right.page)
	return buf
}

// mendSchema fills in the first pages of a copy that were cut off, of which the
// schema is on the last: they are those of an empty store.
func mendSchema(ctx context.Context, path string, whole int64) error {
	f, err := openPaged(path, whole)
	if err != nil {
		return err
	}
	defer f.Close()
	first := make([]byte, f.size)
	if _, err := f.ReadAt(first, 0); err != nil {
		return err
	}
	version := int(binary.BigEndian.Uint32(first[headUserVersion:]))
	if version < 1 || version > len(migrationFiles()) {
		return nil
	}
	empty := filepath.Join(filepath.Dir(path), "empty.db")
	if err := makeEmpty(ctx, empty, version, f.size); err != nil {
		return err
	}
	made, err := os.ReadFile(empty)
	if err != nil || int64(len(made)) <= whole*f.size || !slices.Equal(made[headLength:f.size], first[headLength:]) {
		return err
	}
	_, err = f.WriteAt(made[whole*f.size:], whole*f.size)
	if pages := uint32(int64(len(made)) / f.size); err == nil && pages > f.pages {
		_, err = f.WriteAt(binary.BigEndian.AppendUint32(nil, pages), headPages)
	}
	return err
}

// makeEmpty makes a file without sessions, with pages of a size, that only this
// user may read.
func makeEmpty(ctx context.Context, path string, version int, size int64) error {
	if err := prepareFile(path); err != nil {
		return err
	}
	db := openDB(path, "rw", "_secure_delete=on")
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA page_size = %d; PRAGMA auto_vacuum = incremental`, size)); err != nil {
		return err
	}
	for i, file := range migrationFiles()[:version] {
		err := transact(ctx, conn, func(ctx context.Context, conn *sql.Conn) error { return migrateStep(ctx, conn, file, i+1) })
		if err != nil {
			return err
		}
	}
	return nil
}
