package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A Filter is a compiled filter expression: the one language that record, show,
// view, export, replay and diff share. It may be used by several goroutines.
// A nil *Filter accepts everything.
//
// The names in an expression are the keys of `show --json`, and the fields of
// decode's table under fields; they and their types are checked when it is
// compiled. A comparison with what a message does not have is false. What
// fails while it runs is no match, and counted.
type Filter struct {
	text    string
	program *vm.Program
	fill    []func(*filterEnv) // sets the names that the expression uses
	where   *condition         // what the index can say: never less than the filter accepts

	envs   sync.Pool // *filterEnv
	failed atomic.Int64
	first  atomic.Pointer[error]
}

// A FilterError says what is wrong with the text of a filter.
type FilterError struct {
	Text    string
	Column  int // of the text, in characters, from 1
	Problem string
	Near    []string // names like the one that is not known
}

func (e *FilterError) Error() string {
	hint := ""
	if len(e.Near) > 0 {
		hint = "; nearest: " + strings.Join(e.Near, ", ")
	}
	return fmt.Sprintf("filter %q, column %d: %s%s", e.Text, e.Column, e.Problem, hint)
}

// maxFilter bounds the text of a filter, in bytes.
const maxFilter = 64 << 10

// CompileFilter checks and compiles an expression. An empty text gives nil,
// which accepts everything. The error is a *FilterError.
func CompileFilter(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxFilter {
		return nil, &FilterError{Text: text[:40] + "…", Column: maxFilter, Problem: "is too long"}
	}
	f := &Filter{text: text}
	config := conf.CreateNew()
	expr.Env(&filterEnv{})(config)
	expr.AsBool()(config)
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, f.problem(err)
	}
	c := newFilterCheck(text)
	f.where = c.condition(tree.Node)
	c.rewrite(&tree.Node)
	c.mustBeCondition(tree.Node)
	if c.err != nil {
		return nil, c.err
	}
	f.fill = c.fills()
	if _, err := checker.Check(tree, config); err != nil {
		return nil, f.problem(err)
	}
	if err := optimizer.Optimize(&tree.Node, config); err != nil {
		return nil, f.problem(err)
	}
	if f.program, err = compiler.Compile(tree, config); err != nil {
		return nil, f.problem(err)
	}
	f.envs.New = func() any { return newFilterEnv() }
	return f, nil
}

// problem turns an error of expr into ours.
func (f *Filter) problem(err error) error {
	p := &FilterError{Text: f.text, Column: 1, Problem: err.Error()}
	if e, ok := errors.AsType[*file.Error](err); ok {
		p.Column, p.Problem = e.From+1, e.Message
	}
	return p
}

// String returns the text of the filter, empty for nil.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.text
}

// Match reports whether a filter accepts a row of a session. The message is
// decoded only when the filter asks for something that the row does not know.
func (f *Filter) Match(session int64, row *Row) bool { return f.match(session, row, nil) }

// MatchMessage is Match for a row whose message is decoded already.
func (f *Filter) MatchMessage(session int64, row *Row, msg *decode.Message) bool {
	return f.match(session, row, msg)
}

func (f *Filter) match(session int64, row *Row, msg *decode.Message) bool {
	if f == nil {
		return true
	}
	env := f.envs.Get().(*filterEnv)
	defer f.envs.Put(env)
	env.row, env.session, env.msg = row, session, msg
	for _, fill := range f.fill {
		fill(env)
	}
	out, err := expr.Run(f.program, env)
	env.row, env.msg = nil, nil
	if err != nil {
		f.failed.Add(1)
		if e, ok := errors.AsType[*file.Error](err); ok {
			err = errors.New(e.Message)
		}
		err = fmt.Errorf("record %d: %w", row.Seq, err)
		f.first.CompareAndSwap(nil, &err)
		return false
	}
	yes, _ := out.(bool)
	return yes
}

// Failures returns how often the filter could not be worked out, which counted
// as no match, and the first reason.
func (f *Filter) Failures() (int64, error) {
	if f == nil {
		return 0, nil
	}
	if first := f.first.Load(); first != nil {
		return f.failed.Load(), *first
	}
	return f.failed.Load(), nil
}

// A Sieve filters records that are in no store yet, as a recording sees them.
// It must see the records of one session in their order, and is used by one
// goroutine.
type Sieve struct {
	filter  *Filter
	tracker *flow.Tracker
}

// NewSieve returns a Sieve at the beginning of a session. A nil filter accepts
// everything.
func NewSieve(f *Filter) *Sieve { return &Sieve{f, flow.NewTracker()} }

// Keep reports whether the filter accepts a record, whose secrets have been
// masked. Gap rows are always kept: what may be missing is never filtered away.
func (s *Sieve) Keep(rec *capture.Record) bool {
	if s.filter == nil || rec.Direction == capture.GapRow {
		return true
	}
	msg := flow.Decode(rec, decode.Options{})
	row := Row{Record: *rec, Name: msg.Name, Agent: msg.Agent, Dialog: msg.Text("dialogId")}
	place := s.tracker.Observe(rec, &msg)
	row.Conversation, row.Subject, row.Sender, row.Basis = place.Conversation, place.Subject, place.Sender, place.Basis
	return s.filter.MatchMessage(0, &row, &msg)
}
