package store

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"gctap/capture"
	"gctap/decode"
)

// A filterCheck checks the names of an expression and rewrites it into one
// that expr can type and run: fields become calls, comparisons with what may
// be absent become calls of compare, times are read once.
type filterCheck struct {
	text string
	used map[string]bool
	vars []string // declared by let
	err  error    // the first *FilterError
}

func newFilterCheck(text string) *filterCheck {
	return &filterCheck{text: text, used: map[string]bool{}}
}

func (c *filterCheck) fail(at ast.Node, near []string, format string, args ...any) {
	if c.err == nil {
		c.err = &FilterError{Text: c.text, Column: at.Location().From + 1, Problem: fmt.Sprintf(format, args...), Near: near}
	}
}

// fills returns what sets the names that are used, in a fixed order.
func (c *filterCheck) fills() []func(*filterEnv) {
	var fills []func(*filterEnv)
	for _, name := range slices.Sorted(maps.Keys(c.used)) {
		if fill := filterNames[name]; fill != nil {
			fills = append(fills, fill)
		}
	}
	return fills
}

// comparisons are the operators that compare handles.
var comparisons = []string{"==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches"}

// rewrite checks and rewrites a node and all below it.
func (c *filterCheck) rewrite(node *ast.Node) {
	if c.err != nil || *node == nil {
		return
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		c.identifier(n)
	case *ast.UnaryNode:
		c.rewrite(&n.Node)
		if n.Operator == "!" || n.Operator == "not" {
			c.mustBeCondition(n.Node)
		}
	case *ast.BinaryNode:
		c.binary(node, n)
	case *ast.ChainNode:
		c.rewrite(&n.Node)
		*node = n.Node // absent is nil all the way
	case *ast.MemberNode:
		c.member(node, n)
	case *ast.CallNode:
		c.call(n)
	case *ast.BuiltinNode:
		c.rewriteAll(n.Arguments)
	case *ast.PredicateNode:
		c.rewrite(&n.Node)
	case *ast.ConditionalNode:
		c.rewrite(&n.Cond)
		c.rewrite(&n.Exp1)
		c.rewrite(&n.Exp2)
	case *ast.VariableDeclaratorNode:
		c.rewrite(&n.Value)
		c.vars = append(c.vars, n.Name)
		c.rewrite(&n.Expr)
	case *ast.SequenceNode:
		c.rewriteAll(n.Nodes)
	case *ast.ArrayNode:
		c.rewriteAll(n.Nodes)
	case *ast.SliceNode:
		c.rewrite(&n.Node)
		c.rewrite(&n.From)
		c.rewrite(&n.To)
	case *ast.MapNode:
		c.rewriteAll(n.Pairs)
	case *ast.PairNode:
		c.rewrite(&n.Value)
	}
}

func (c *filterCheck) rewriteAll(nodes []ast.Node) {
	for i := range nodes {
		c.rewrite(&nodes[i])
	}
}

func (c *filterCheck) identifier(n *ast.IdentifierNode) {
	_, known := filterNames[n.Value]
	switch {
	case slices.Contains(c.vars, n.Value):
	case n.Value == "fields":
		c.fail(n, nil, "fields needs the name of a field, as in fields.state")
	case n.Value == "properties", n.Value == "decoded":
		c.fail(n, nil, "%s needs a name, as in %s.agent", n.Value, n.Value)
	case !known:
		near := nearestNames(n.Value, slices.Concat(slices.Collect(maps.Keys(filterNames)), fieldNames()))
		for i, name := range near {
			if _, top := filterNames[name]; !top {
				near[i] = "fields." + name
			}
		}
		c.fail(n, near, "no name %q", n.Value)
	default:
		c.used[n.Value] = true
	}
}

// call checks the calls of our own functions; expr knows its builtins.
func (c *filterCheck) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != "finding" && callee.Value != "num" {
		name := callName(n)
		c.fail(n, nearestNames(name, []string{"finding", "num", "len", "lower", "upper", "any", "all", "count"}), "no function %q", name)
		return
	}
	if len(n.Arguments) != 1 {
		c.fail(n, nil, "%s takes one argument", callee.Value)
		return
	}
	if code, ok := n.Arguments[0].(*ast.StringNode); callee.Value == "finding" {
		if !ok {
			c.fail(n.Arguments[0], nil, `finding takes a code in quotes, as in finding("missing-field")`)
		} else if _, known := severityOf(code.Value); !known {
			c.fail(code, nearestNames(code.Value, findingCodes()), "no finding %q", code.Value)
		}
		return
	}
	c.rewrite(&n.Arguments[0])
}

func callName(n *ast.CallNode) string {
	if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
		return callee.Value
	}
	return n.Callee.String()
}

func findingCodes() []string {
	var codes []string
	for _, f := range decode.FindingCodes() {
		codes = append(codes, f.Code)
	}
	return codes
}

func severityOf(code string) (int, bool) {
	for _, f := range decode.FindingCodes() {
		if f.Code == code {
			return severities[f.Severity], true
		}
	}
	return 0, false
}

// member turns fields.x, properties.x and decoded.x into what they stand for.
func (c *filterCheck) member(node *ast.Node, n *ast.MemberNode) {
	root, steps := memberPath(n)
	id, ok := root.(*ast.IdentifierNode)
	if ok && id.Value == "decoded" && len(steps) > 0 {
		c.decodedMember(node, n)
		return
	}
	switch {
	case ok && id.Value == "fields" && !slices.Contains(c.vars, "fields"):
		if path, ok := c.fieldPath(steps); ok {
			*node = callNode(n, "__field", &ast.StringNode{Value: path})
		}
	case ok && id.Value == "properties":
		name, isText := steps[0].(*ast.StringNode)
		if len(steps) != 1 || !isText {
			c.fail(n, nil, "properties takes one name, as in properties.agent")
			return
		}
		*node = callNode(n, "__property", &ast.StringNode{Value: name.Value})
	default:
		c.rewrite(&n.Node)
		if _, isText := n.Property.(*ast.StringNode); !isText {
			c.rewrite(&n.Property)
		}
	}
}

// decodedMember reads decoded.name as name, decoded.fields.x as fields.x.
func (c *filterCheck) decodedMember(node *ast.Node, n *ast.MemberNode) {
	inner, ok := n.Node.(*ast.MemberNode)
	if ok {
		var below ast.Node = inner
		if root, _ := memberPath(inner); root != nil {
			c.stripDecoded(&below)
			n.Node = below
			c.rewrite(node)
			return
		}
	}
	c.stripDecoded(node)
	c.rewrite(node)
}

func (c *filterCheck) stripDecoded(node *ast.Node) {
	n, ok := (*node).(*ast.MemberNode)
	if !ok {
		return
	}
	id, ok := n.Node.(*ast.IdentifierNode)
	if !ok || id.Value != "decoded" {
		c.stripDecoded(&n.Node)
		return
	}
	keys := []string{"protocol", "kind", "name", "variant", "agent", "fields", "findings"}
	name, _ := n.Property.(*ast.StringNode)
	if name == nil || !slices.Contains(keys, name.Value) {
		c.fail(n, keys, "decoded has no such key")
		return
	}
	plain := &ast.IdentifierNode{Value: name.Value}
	plain.SetLocation(n.Location())
	*node = plain
}

func callNode(at ast.Node, name string, args ...ast.Node) ast.Node {
	callee := &ast.IdentifierNode{Value: name}
	callee.SetLocation(at.Location())
	for _, a := range args {
		if a.Location().From == 0 {
			a.SetLocation(at.Location())
		}
	}
	n := &ast.CallNode{Callee: callee, Arguments: args}
	n.SetLocation(at.Location())
	return n
}

// memberPath returns what a chain of members begins with, and its steps.
func memberPath(n ast.Node) (root ast.Node, steps []ast.Node) {
	for {
		switch m := n.(type) {
		case *ast.MemberNode:
			steps = append(steps, m.Property)
			n = m.Node
		case *ast.ChainNode:
			n = m.Node
		default:
			slices.Reverse(steps)
			return n, steps
		}
	}
}

// fieldPath checks the steps below fields and writes them as a path of
// decode.Message.Get.
func (c *filterCheck) fieldPath(steps []ast.Node) (string, bool) {
	var path strings.Builder
	at := fieldTree()
	for i, step := range steps {
		switch s := step.(type) {
		case *ast.StringNode:
			if c.quoted(s) {
				at = nil // a key of JSON or xuc: nothing is known of it
			} else if at = c.stepInto(at, s, i == 0); c.err != nil {
				return "", false
			}
			if i > 0 {
				path.WriteByte('.')
			}
			path.WriteString(s.Value)
		case *ast.IntegerNode:
			if i == 0 {
				c.fail(s, nil, "fields has names, not numbers")
				return "", false
			}
			fmt.Fprintf(&path, "[%d]", s.Value)
		default:
			c.fail(step, nil, "the name of a field stands in quotes or after a dot")
			return "", false
		}
	}
	return path.String(), true
}

// stepInto goes one name down; nil stands for anything.
func (c *filterCheck) stepInto(at *fieldNode, s *ast.StringNode, top bool) *fieldNode {
	if at == nil || at.open || at.json && len(at.parts) == 0 {
		return nil
	}
	below, ok := at.parts[s.Value]
	if !ok {
		what := "no field %q; for a key of JSON or xuc write fields[%q]"
		if !top {
			what = "no part %q; for a key of JSON or xuc write [%q]"
		}
		c.fail(s, nearestNames(s.Value, slices.Collect(maps.Keys(at.parts))), what, s.Value, s.Value)
	}
	return below
}

// quoted reports whether a name was written in brackets and quotes.
func (c *filterCheck) quoted(s *ast.StringNode) bool {
	rest := c.text
	for range s.Location().From {
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
	}
	return rest != "" && strings.ContainsRune("\"'`", rune(rest[0]))
}

// binary handles an operator.
func (c *filterCheck) binary(node *ast.Node, n *ast.BinaryNode) {
	if n.Operator == "||" || n.Operator == "&&" || n.Operator == "or" || n.Operator == "and" {
		for _, side := range []*ast.Node{&n.Left, &n.Right} {
			c.rewrite(side)
			c.mustBeCondition(*side)
		}
		return
	}
	left, right := c.typeOf(n.Left), c.typeOf(n.Right)
	c.checkSide(n.Left, right, n)
	c.checkSide(n.Right, left, n)
	c.constants(n, left, right)
	c.rewrite(&n.Left)
	c.rewrite(&n.Right)
	if c.err != nil || !slices.Contains(comparisons, n.Operator) || !left.absent && !right.absent {
		return
	}
	if pattern, ok := n.Right.(*ast.StringNode); ok && n.Operator == "matches" {
		re, err := regexp.Compile(pattern.Value)
		if err != nil {
			c.fail(pattern, nil, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return
		}
		n.Right = &ast.ConstantNode{Value: re}
	}
	*node = callNode(n, "__compare", &ast.StringNode{Value: n.Operator}, n.Left, n.Right)
}

// A sideType is what is known of one side of a comparison.
type sideType struct {
	absent bool   // it may be absent
	word   string // "text", "time", "number"; "": unknown
	name   string // the name it is, if it is one
}

func (c *filterCheck) typeOf(n ast.Node) sideType {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	switch n := n.(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "capturedAt":
			return sideType{word: "time", name: n.Value}
		case "sentAt", "from", "to":
			return sideType{absent: true, word: "time", name: n.Value}
		case "jmsType", "reason":
			return sideType{absent: true, word: "text", name: n.Value}
		case "lost":
			return sideType{absent: true, word: "number", name: n.Value}
		}
		if slices.Contains(c.vars, n.Value) {
			return sideType{absent: true}
		}
		return sideType{name: n.Value}
	case *ast.PointerNode:
		return sideType{absent: true}
	case *ast.CallNode:
		if callName(n) == "num" {
			return sideType{absent: true, word: "number"}
		}
	case *ast.MemberNode:
		root, _ := memberPath(n)
		switch root := root.(type) {
		case *ast.PointerNode:
			return sideType{absent: true}
		case *ast.IdentifierNode:
			if root.Value == "fields" || root.Value == "properties" || root.Value == "decoded" {
				return sideType{absent: true, word: "text"}
			}
			if slices.Contains(c.vars, root.Value) {
				return sideType{absent: true}
			}
		}
	}
	return sideType{}
}

// checkSide refuses a literal that can never equal what stands beside it.
func (c *filterCheck) checkSide(side ast.Node, other sideType, n *ast.BinaryNode) {
	switch side.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		if other.word == "text" {
			c.fail(side, nil, "a number beside a text: write num(…) around the field, or put the number in quotes")
		}
	case *ast.StringNode:
		if other.word == "number" {
			c.fail(side, nil, "a text beside a number: leave the quotes out")
		}
	case *ast.BoolNode:
		if other.word == "text" {
			c.fail(side, nil, `a field is a text: write "true" or "false"`)
		}
	}
}

// constants reads times, and refuses values that a closed list does not hold.
func (c *filterCheck) constants(n *ast.BinaryNode, left, right sideType) {
	for _, side := range []struct {
		node  *ast.Node
		other sideType
	}{{&n.Left, right}, {&n.Right, left}} {
		each := []*ast.Node{side.node}
		if list, ok := (*side.node).(*ast.ArrayNode); ok && n.Operator == "in" {
			each = nil
			for i := range list.Nodes {
				each = append(each, &list.Nodes[i])
			}
		}
		for _, node := range each {
			if literal, ok := (*node).(*ast.StringNode); ok {
				c.constant(node, literal, side.other, n.Operator)
			}
		}
	}
}

// closed are the names whose values are listed.
var closed = map[string][]string{
	"direction": {string(capture.Command), string(capture.Event), string(capture.Peer), string(capture.GapRow), string(capture.Note)},
	"kind":      {decode.KindCommand, decode.KindEvent, decode.Unknown},
	"protocol":  {decode.GCText, decode.GCJSON, decode.GCREST, decode.XUC, decode.Unknown},
	"bodyKind":  {"text", "bytes", "map", "null", "none", "unknown"},
	"reason":    capture.GapReasons,
}

func (c *filterCheck) constant(node *ast.Node, literal *ast.StringNode, other sideType, op string) {
	if other.word == "time" {
		at, err := time.Parse(time.RFC3339Nano, literal.Value)
		if err != nil {
			c.fail(literal, nil, "%q is not a time: write it as 2026-11-21T09:00:00Z", literal.Value)
			return
		}
		*node = &ast.ConstantNode{Value: at}
		(*node).SetLocation(literal.Location())
		return
	}
	if values := closed[other.name]; values != nil && (op == "==" || op == "!=" || op == "in") && !slices.Contains(values, literal.Value) {
		c.fail(literal, values, "%s is never %q", other.name, literal.Value)
	}
}

// mustBeCondition refuses a field or text where true or false is needed.
func (c *filterCheck) mustBeCondition(n ast.Node) {
	call, ok := n.(*ast.CallNode)
	if !ok || c.err != nil {
		return
	}
	if name := callName(call); name == "__field" || name == "__property" || name == "num" {
		c.fail(n, nil, `is a value, not a condition: compare it, as in … == "true"`)
	}
}

// A fieldNode is a field of decode's table with its parts.
type fieldNode struct {
	parts map[string]*fieldNode
	open  bool // its parts are the site's own, as call variables
	json  bool // it is a key of a JSON event, whose values are not described
}

// fieldTree returns all fields of the table, as one tree.
var fieldTree = sync.OnceValue(func() *fieldNode {
	root := &fieldNode{parts: map[string]*fieldNode{"extra": {}, "args": {}}}
	for _, specs := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
		for _, s := range specs {
			for i := range s.Forms {
				root.addArgs(s.Forms[i].Args)
				if lead := s.Forms[i].Lead; lead != nil {
					root.addArgs([]decode.Arg{*lead})
				}
			}
			if s.Head != nil {
				root.addArgs([]decode.Arg{*s.Head})
			}
			for i := range s.Keys {
				root.child(s.Keys[i].Name).json = true
			}
		}
	}
	return root
})

func (n *fieldNode) child(name string) *fieldNode {
	if n.parts == nil {
		n.parts = map[string]*fieldNode{}
	}
	below := n.parts[name]
	if below == nil {
		below = &fieldNode{}
		n.parts[name] = below
	}
	return below
}

func (n *fieldNode) addArgs(args []decode.Arg) {
	for i := range args {
		a := &args[i]
		if a.First != nil {
			n.addArgs([]decode.Arg{*a.First})
		}
		if a.Name == "" {
			continue
		}
		below := n.child(a.Name)
		below.addArgs(a.Parts)
		if len(a.Parts) > 0 {
			below.child("extra")
		}
		if a.Shape == decode.Pairs || a.Shape == decode.Rest {
			below.open = true
		}
	}
}

func fieldNames() []string { return slices.Sorted(maps.Keys(fieldTree().parts)) }

// FilterNames returns what an expression may begin a name with, for completion:
// the names, the functions, and the fields with "fields." in front.
func FilterNames() []string {
	names := []string{"finding(", "num("}
	for name := range filterNames {
		names = append(names, name)
	}
	for _, name := range fieldNames() {
		names = append(names, "fields."+name)
	}
	slices.Sort(names)
	return names
}

// nearestNames returns the names most like one, at most three.
func nearestNames(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	folded := strings.ToLower(name)
	var near []candidate
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		d := decode.Distance([]byte(folded), []byte(strings.ToLower(n)))
		switch {
		case strings.HasPrefix(strings.ToLower(n), folded):
			d = min(d, 1)
		case len(folded) > 2 && strings.Contains(strings.ToLower(n), folded):
			d = min(d, 2)
		}
		if d <= max(2, len(name)/3) {
			near = append(near, candidate{n, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var list []string
	for _, c := range near[:min(3, len(near))] {
		list = append(list, c.name)
	}
	return list
}
