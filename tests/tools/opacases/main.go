// Command opacases prints OPA's own conformance cases, which its Go module carries, in a form that Seawall's engines can run.
//
// Each line of standard output is one case:
//
//	{"note": …, "modules": […], "data": {…}, "input": …, "result": …}   what OPA answers
//	{"note": …, "modules": […], "data": {…}, "input": …, "error": "…"}  it fails; with "compile": true it refuses the modules
//	{"note": …, "skip": "why the case cannot be run like a policy"}
//
// A policy reads rules and data.seawall.knowledge, and is asked for the set data.seawall.policies.conformance.violation. So
// the query of a case becomes that rule, with a row of variables for each result, and base documents move below
// data.seawall.knowledge. A policy always has an input, so where a case has none, `input` becomes a key that is not there.
// OPA evaluates what comes out, with strict builtin errors as Seawall does; where that is not what the case wants, the change
// has changed the case, and it is left out.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/test/cases/testdata"
	"github.com/open-policy-agent/opa/v1/util"
)

type line struct {
	Note    string         `json:"note"`
	Modules []string       `json:"modules,omitempty"`
	Data    map[string]any `json:"data"`
	Input   any            `json:"input"`
	Result  *any           `json:"result,omitempty"`
	Error   string         `json:"error,omitempty"`
	Compile bool           `json:"compile,omitempty"`
	Skip    string         `json:"skip,omitempty"`
}

const rule = "data.seawall.policies.conformance.violation"

// load reads the cases in Rego v1; those in v0 are the same ones in a language that policies are not written in.
func load() (cases.Set, error) {
	var all cases.Set
	err := fs.WalkDir(testdata.V1, "v1", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := testdata.V1.ReadFile(path)
		if err != nil {
			return err
		}
		var set cases.Set
		if err := util.Unmarshal(text, &set); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all.Cases = append(all.Cases, set.Cases...)
		return nil
	})
	return all.Sorted(), err
}

// moved inserts `.seawall.knowledge` after each `data` that begins a reference to a base document, and `.none` after each
// `input` where there is no input.
func moved(text string, node any, packages map[string]bool, input bool) string {
	insert := map[int]string{}
	ast.WalkRefs(node, func(ref ast.Ref) bool {
		if ref[0].Location == nil {
			return false
		}
		offset := ref[0].Location.Offset
		switch {
		case len(ref) > 1 && ref[0].Equal(ast.DefaultRootDocument) && strings.HasPrefix(text[offset:], "data"):
			if name, constant := ref[1].Value.(ast.String); constant && !packages[string(name)] {
				insert[offset+len("data")] = ".seawall.knowledge"
			}
		case !input && ref[0].Equal(ast.InputRootDocument) && strings.HasPrefix(text[offset:], "input"):
			insert[offset+len("input")] = ".none"
		}
		return false
	})
	for _, offset := range slices.Backward(slices.Sorted(maps.Keys(insert))) {
		text = text[:offset] + insert[offset] + text[offset:]
	}
	return text
}

// wrapped makes the query a rule.
func wrapped(query string, variables []string) string {
	rows := make([]string, len(variables))
	for i, variable := range variables {
		rows[i] = fmt.Sprintf("%q: %s", variable, variable)
	}
	return fmt.Sprintf(
		"package seawall.policies.conformance\n\nviolation contains {%s} if {\n\t%s\n}\n",
		strings.Join(rows, ", "), query,
	)
}

func convert(test *cases.TestCase) line {
	out := line{Note: test.Note, Data: map[string]any{}, Input: map[string]any{}}
	skip := func(reason string) line { return line{Note: test.Note, Skip: reason} }
	switch {
	case test.InputTerm != nil:
		term, err := ast.ParseTerm(*test.InputTerm)
		if err != nil {
			return skip("its input does not parse")
		}
		value, err := ast.JSON(term.Value)
		if err != nil {
			return skip("its input is no JSON")
		}
		back, err := ast.InterfaceToValue(value)
		if err != nil || back.Compare(term.Value) != 0 {
			return skip("its input is no JSON")
		}
		out.Input = value
	case test.Input != nil:
		out.Input = *test.Input
	}
	hasInput := test.InputTerm != nil || test.Input != nil
	if len(test.Env) > 0 {
		return skip("it reads variables of the environment")
	}

	packages := map[string]bool{"seawall": true}
	parsed := make([]*ast.Module, len(test.Modules))
	var broken error
	for i, text := range test.Modules {
		module, err := ast.ParseModuleWithOpts("", text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: false})
		if err != nil {
			broken = err
			continue
		}
		parsed[i] = module
		if name, ok := module.Package.Path[1].Value.(ast.String); ok {
			packages[string(name)] = true
		}
	}
	for i, text := range test.Modules {
		if parsed[i] != nil {
			text = moved(text, parsed[i], packages, hasInput)
		}
		out.Modules = append(out.Modules, text)
	}
	knowledge := map[string]any{}
	if test.Data != nil {
		for name, document := range *test.Data {
			if packages[name] {
				out.Data[name] = document
			} else {
				knowledge[name] = document
			}
		}
	}
	out.Data["seawall"] = map[string]any{"knowledge": knowledge}
	body, err := ast.ParseBodyWithOpts(test.Query, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return skip("its query does not parse")
	}
	var variables []string
	if test.WantResult != nil && len(*test.WantResult) > 0 {
		variables = slices.Sorted(maps.Keys((*test.WantResult)[0]))
	}
	out.Modules = append(out.Modules, wrapped(moved(test.Query, body, packages, hasInput), variables))
	if broken != nil {
		out.Error, out.Compile = broken.Error(), true
		return out
	}

	result, err := evaluate(&out)
	switch {
	case err != nil && test.WantResult != nil && isCompileError(err):
		return skip("as a rule its query does not compile: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	case err != nil:
		out.Error, out.Compile = err.Error(), isCompileError(err)
	case test.WantErrorCode != nil || test.WantError != nil:
		// what fails in the case but not here failed because of its query
		return skip("as a rule its query does not fail")
	case test.WantResult != nil && !same(*test.WantResult, result, test.SortBindings):
		return skip("as a rule its query has another result")
	case test.WantDefined != nil && *test.WantDefined != (len(result.([]any)) > 0):
		return skip("as a rule its query has another result")
	default:
		out.Result = &result
	}
	return out
}

func isCompileError(err error) bool {
	_, compile := err.(ast.Errors)
	_, rego := err.(rego.Errors)
	return compile || rego
}

func evaluate(test *line) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	modules := map[string]string{}
	for i, text := range test.Modules {
		modules[fmt.Sprintf("test-%d.rego", i)] = text
	}
	compiler, err := ast.CompileModulesWithOpt(modules, ast.CompileOpts{ParserOptions: ast.ParserOptions{RegoVersion: ast.RegoV1}})
	if err != nil {
		return nil, err
	}
	results, err := rego.New(
		rego.Query(rule),
		rego.Compiler(compiler),
		rego.Store(inmem.NewFromObject(test.Data)),
		rego.StrictBuiltinErrors(true),
		rego.Input(test.Input),
	).Eval(ctx)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s is undefined", rule)
	}
	return results[0].Expressions[0].Value, nil
}

// same compares rows as sets: a query may give the same row twice, a rule does not.
func same(wanted []map[string]any, found any, sorted bool) bool {
	rows := func(all []any) map[string]bool {
		set := map[string]bool{}
		for _, row := range all {
			if fields, ok := row.(map[string]any); ok && sorted {
				row = maps.Collect(func(yield func(string, any) bool) {
					for name, value := range fields {
						if list, ok := value.([]any); ok {
							list = slices.Clone(list)
							slices.SortFunc(list, util.Compare)
							value = list
						}
						if !yield(name, value) {
							return
						}
					}
				})
			}
			set[canonical(row)] = true
		}
		return set
	}
	all := make([]any, len(wanted))
	for i, row := range wanted {
		all[i] = row
	}
	list, ok := found.([]any)
	return ok && reflect.DeepEqual(rows(all), rows(list))
}

// canonical is the text of a value with numbers as OPA compares them: 1 and 1.0 are the same.
func canonical(value any) string {
	term, err := ast.InterfaceToValue(value)
	if err != nil {
		return err.Error()
	}
	return term.String()
}

func run() error {
	all, err := load()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i := range all.Cases {
		if err := encoder.Encode(convert(&all.Cases[i])); err != nil {
			return err
		}
	}
	return out.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "opacases:", err)
		os.Exit(2)
	}
}
