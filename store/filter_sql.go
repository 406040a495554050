package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"gctap/capture"
)

// A condition is what SQL can say of a filter: all rows that the filter accepts
// fulfil it. Where exact is set, no others do.
type condition struct {
	op     string // "and", "or", "not", "is"; "" says nothing
	kids   []*condition
	exact  bool
	column filterColumn
	cmp    string // of "is": =, <>, <, <=, >, >=, contains, or severity
	values []any  // text, int64 or time.Time; for = any of them
}

var anything = &condition{}

// A filterColumn is a name of the language that is a column.
type filterColumn struct {
	sql   string // with m. for the index, r. for the record
	kind  columnKind
	drive int // how few rows a value of it usually has; 0: has no index
}

type columnKind uint8

const (
	internedColumn columnKind = iota // number of a text of the session
	textColumn
	blobColumn
	seqColumn
	timeColumn
	numberColumn
	directionColumn
)

var filterColumns = map[string]filterColumn{
	"name":            {"m.name", internedColumn, 1},
	"conversation":    {"m.conversation", internedColumn, 2},
	"agent":           {"m.agent", internedColumn, 3},
	"fields.dialogId": {"m.dialog", internedColumn, 4},
	"subject":         {"m.subject", internedColumn, 0},
	"sender.agent":    {"m.sender", internedColumn, 0},
	"source":          {"r.source", internedColumn, 0},
	"via":             {"r.via", internedColumn, 0},
	"connection":      {"r.conn", internedColumn, 0},
	"destination":     {`r."to"`, internedColumn, 0},
	"replyTo":         {"r.reply_to", internedColumn, 0},
	"messageId":       {"r.message_id", textColumn, 0},
	"correlationId":   {"r.correlation_id", textColumn, 0},
	"body":            {"r.body", blobColumn, 0},
	"seq":             {"r.id", seqColumn, 0},
	"capturedAt":      {"r.captured_at", timeColumn, 0},
	"truncated":       {"r.truncated", numberColumn, 0},
	"direction":       {"r.direction", directionColumn, 0},
}

// condition returns what SQL can say of a node that is not yet rewritten.
func (c *filterCheck) condition(n ast.Node) *condition {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator != "!" && n.Operator != "not" {
			return anything
		}
		if inner := c.condition(n.Node); inner.exact {
			return &condition{op: "not", kids: []*condition{inner}, exact: true}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			return both("and", c.condition(n.Left), c.condition(n.Right))
		case "||", "or":
			return both("or", c.condition(n.Left), c.condition(n.Right))
		}
		return comparison(n)
	case *ast.CallNode:
		if code, ok := oneText(n.Arguments); ok && callName(n) == "finding" {
			if severity, known := severityOf(code); known {
				return &condition{op: "is", cmp: "severity", values: []any{int64(severity)}}
			}
		}
	}
	return anything
}

func oneText(args []ast.Node) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	s, ok := args[0].(*ast.StringNode)
	if !ok {
		return "", false
	}
	return s.Value, true
}

func both(op string, left, right *condition) *condition {
	known := slices.DeleteFunc([]*condition{left, right}, func(c *condition) bool { return c.op == "" })
	switch {
	case len(known) == 2:
		return &condition{op: op, kids: known, exact: left.exact && right.exact}
	case len(known) == 1 && op == "and":
		one := *known[0]
		one.exact = false
		return &one
	}
	return anything
}

var (
	sqlOperators = map[string]string{"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
	turned       = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}
)

// comparison returns what SQL can say of an operator between a column and
// literals.
func comparison(n *ast.BinaryNode) *condition {
	op, left, right := n.Operator, n.Left, n.Right
	column, ok := columnOf(left)
	if !ok {
		if column, ok = columnOf(right); !ok || op == "in" || op == "contains" {
			return anything
		}
		right = left
		if t, ok := turned[op]; ok {
			op = t
		}
	}
	nodes := []ast.Node{right}
	cmp := sqlOperators[op]
	switch list, isList := right.(*ast.ArrayNode); {
	case op == "in" && isList && len(list.Nodes) > 0:
		nodes, cmp = list.Nodes, "="
	case op == "contains" && column.kind == blobColumn:
		cmp = op
	}
	if cmp == "" {
		return anything
	}
	c := &condition{op: "is", column: column, cmp: cmp, exact: column.sql != "m.dialog"}
	for _, node := range nodes {
		v, ok := literal(node, column.kind)
		if !ok {
			return anything
		}
		c.values = append(c.values, v)
	}
	if texts := column.kind == internedColumn || column.kind == directionColumn; texts && cmp != "=" && cmp != "<>" {
		return anything
	}
	if column.kind == blobColumn && cmp != "contains" && cmp != "=" {
		return anything
	}
	if column.sql == "m.dialog" && (cmp != "=" || slices.Contains(c.values, any(""))) {
		return anything // the index has no difference between absent and empty
	}
	return c
}

func columnOf(n ast.Node) (filterColumn, bool) {
	name := ""
	switch n := n.(type) {
	case *ast.IdentifierNode:
		name = n.Value
	case *ast.MemberNode:
		root, steps := memberPath(n)
		id, ok := root.(*ast.IdentifierNode)
		key, ok2 := oneText(steps)
		if !ok || !ok2 {
			return filterColumn{}, false
		}
		name = id.Value + "." + key
		if id.Value == "decoded" {
			name = key
		}
	}
	column, ok := filterColumns[name]
	return column, ok
}

func literal(n ast.Node, kind columnKind) (any, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		if kind == timeColumn {
			at, err := time.Parse(time.RFC3339Nano, n.Value)
			if err != nil {
				return nil, false
			}
			ns, err := nano(at)
			return ns, err == nil
		}
		return n.Value, kind != seqColumn && kind != numberColumn
	case *ast.IntegerNode:
		return int64(n.Value), kind == seqColumn || kind == numberColumn
	}
	return nil, false
}

// A plan is a filter's condition for one session.
type plan struct {
	drivers []string // each picks rows of messages by an index, in the order of id
	where   string   // "" for all rows
	args    []any
	index   bool  // where reads messages
	record  bool  // where reads records
	nothing bool  // no row can match
	low     int64 // no row before this seq can match
	high    int64 // … nor behind this one
}

// planner turns a condition into SQL for one session.
type planner struct {
	ctx     context.Context
	store   *Store
	session int64
	stale   bool // the index was filled by other rules: it says nothing
	plan    plan
	err     error
}

func (s *Store) plan(ctx context.Context, session int64, f *Filter) (plan, error) {
	if f == nil {
		return plan{}, nil
	}
	p := &planner{ctx: ctx, store: s, session: session}
	var version int64
	if err := s.db.QueryRowContext(ctx, `SELECT indexed FROM sessions WHERE id = ?`, session).Scan(&version); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return plan{}, explain(s.path, err)
	}
	p.stale = version != indexVersion
	text, _ := p.render(f.where)
	if text == "0" {
		p.plan.nothing = true
	}
	if text != "1" {
		p.plan.where = text
	}
	p.drive(f.where)
	p.bound(f.where)
	return p.plan, explain(s.path, p.err)
}

// render returns the condition as SQL, "1" where it says nothing. exact is
// false where a part was left out.
func (p *planner) render(c *condition) (text string, exact bool) {
	switch c.op {
	case "and":
		left, exactLeft := p.render(c.kids[0])
		right, exactRight := p.render(c.kids[1])
		if left == "0" || right == "0" {
			return "0", exactLeft && exactRight
		}
		if left == "1" {
			return right, exactLeft && exactRight
		}
		if right == "1" {
			return left, exactLeft && exactRight
		}
		return left + " AND " + right, exactLeft && exactRight
	case "or":
		left, exactLeft := p.render(c.kids[0])
		right, exactRight := p.render(c.kids[1])
		exact = exactLeft && exactRight
		switch {
		case left == "1" || right == "1":
			return "1", exact
		case left == "0":
			return right, exact
		case right == "0":
			return left, exact
		}
		return "(" + left + " OR " + right + ")", exact
	case "not":
		if text, exact = p.render(c.kids[0]); !exact {
			return "1", false
		}
		return "NOT (" + text + ")", true
	case "is":
		if p.stale && (c.cmp == "severity" || strings.HasPrefix(c.column.sql, "m.")) {
			return "1", false
		}
		return p.is(c), c.exact
	}
	return "1", false
}

func (p *planner) uses(column string) {
	if strings.HasPrefix(column, "m.") {
		p.plan.index = true
	} else {
		p.plan.record = true
	}
}

func (p *planner) bind(v any) string {
	p.plan.args = append(p.plan.args, v)
	return fmt.Sprint("?", len(p.plan.args))
}

func (p *planner) is(c *condition) string {
	if c.cmp == "severity" {
		p.uses("m.severity")
		return fmt.Sprintf("coalesce(m.severity, 0) >= %d", c.values[0])
	}
	column := c.column
	if column.kind == internedColumn {
		return p.interned(c)
	}
	p.uses(column.sql)
	var parts []string
	for _, v := range c.values {
		switch column.kind {
		case directionColumn:
			v = int64(slices.IndexFunc(directions, func(d capture.Direction) bool { return string(d) == v.(string) }))
		case seqColumn:
			v = key(p.session, min(max(v.(int64), -1), maxSeq))
		case blobColumn:
			v = []byte(v.(string))
			if c.cmp == "contains" {
				parts = append(parts, fmt.Sprintf("instr(coalesce(r.body, x''), %s) > 0", p.bind(v)))
				continue
			}
			parts = append(parts, fmt.Sprintf("coalesce(r.body, x'') = %s", p.bind(v)))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", column.sql, c.cmp, p.bind(v)))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// interned compares a column of numbers of texts. The number is not bound: only
// so can SQLite use the partial indexes.
func (p *planner) interned(c *condition) string {
	numbers := p.numbers(c)
	if p.err != nil {
		return "0"
	}
	if len(numbers) == 0 {
		if c.cmp == "<>" {
			return "1"
		}
		return "0"
	}
	p.uses(c.column.sql)
	// The sign keeps the planner from an index here: rows come in the order of
	// id, and what may drive the query is chosen by drive.
	column := "+" + c.column.sql
	if strings.HasPrefix(c.column.sql, "m.") {
		column = "coalesce(" + c.column.sql + ", 0)"
	}
	if c.cmp == "<>" {
		return column + " <> " + numbers[0]
	}
	return column + " IN (" + strings.Join(numbers, ",") + ")"
}

// numbers returns the numbers of a condition's texts, those that the session
// has.
func (p *planner) numbers(c *condition) []string {
	var numbers []string
	for _, v := range c.values {
		n := int64(0)
		if v != "" {
			err := p.store.db.QueryRowContext(p.ctx, `SELECT id FROM names WHERE session = ? AND value = ?`, p.session, v).Scan(&n)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				p.err = err
				return nil
			}
		}
		numbers = append(numbers, fmt.Sprint(n))
	}
	return numbers
}

// maxDrivers is how many values of an indexed column are worth a look-up each.
const maxDrivers = 16

// severityDrive says that bad findings are rarer than any name.
const severityDrive = 3

// drive chooses the indexed column that leaves the fewest rows, among the parts
// that all rows must fulfil.
func (p *planner) drive(c *condition) {
	best := 0
	var walk func(c *condition)
	walk = func(c *condition) {
		if c.op == "and" {
			walk(c.kids[0])
			walk(c.kids[1])
		}
		if c.op == "is" && c.cmp == "severity" && best == 0 && !p.stale && c.values[0].(int64) > 1 {
			best = severityDrive
			for n := c.values[0].(int64); n <= 3; n++ {
				p.plan.drivers = append(p.plan.drivers, fmt.Sprintf("severity = %d AND severity > 1", n))
			}
			return
		}
		if c.op != "is" || p.stale || c.cmp != "=" || c.column.drive <= best || len(c.values) > maxDrivers || slices.Contains(c.values, any("")) {
			return
		}
		best = c.column.drive
		column := strings.TrimPrefix(c.column.sql, "m.")
		p.plan.drivers = nil
		for _, n := range p.numbers(c) {
			p.plan.drivers = append(p.plan.drivers, fmt.Sprintf("%s = %s AND %s > 0", column, n, column))
		}
	}
	walk(c)
	p.plan.nothing = p.plan.nothing || best > 0 && len(p.plan.drivers) == 0
}

// bound finds the seqs between which all rows lie, from the parts that all must
// fulfil.
func (p *planner) bound(c *condition) {
	p.plan.low, p.plan.high = 1, maxSeq
	var walk func(c *condition)
	walk = func(c *condition) {
		if c.op == "and" {
			walk(c.kids[0])
			walk(c.kids[1])
		}
		if c.op != "is" || c.column.kind != seqColumn || c.cmp == "severity" {
			return
		}
		first, last := p.plan.high, int64(0)
		for _, v := range c.values {
			n := min(max(v.(int64), 0), maxSeq)
			first, last = min(first, n), max(last, n)
		}
		switch c.cmp {
		case "=":
			p.plan.low, p.plan.high = max(p.plan.low, first), min(p.plan.high, last)
		case ">", ">=":
			p.plan.low = max(p.plan.low, first)
		case "<", "<=":
			p.plan.high = min(p.plan.high, last)
		}
	}
	walk(c)
}
