// Command opaeval is the oracle of Seawall's engine tests: it evaluates
// queries over a bundle of policies with OPA itself, many in one process.
//
// Each line of standard input is one evaluation:
//
//	{"id": …, "query": "data.seawall.policies.x", "input": {…}, "cluster": {…}}
//
// and is answered, in order, by one line of standard output:
//
//	{"id": …, "result": …}      the value of the query, sets as sorted arrays
//	{"id": …, "undefined": true} the query has no value
//	{"id": …, "error": "…"}     it could not be evaluated
//
// Builtin errors are strict. `cluster` becomes data.cluster for that line
// only; a line without it (or with null) has no data.cluster.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

type request struct {
	ID      json.RawMessage `json:"id"`
	Query   string          `json:"query"`
	Input   json.RawMessage `json:"input"`
	Cluster json.RawMessage `json:"cluster"`
}

type response struct {
	ID        json.RawMessage `json:"id"`
	Result    *any            `json:"result,omitempty"`
	Undefined bool            `json:"undefined,omitempty"`
	Error     string          `json:"error,omitempty"`
}

var clusterPath = storage.MustParsePath("/cluster")

// oracle holds the compiled bundle and what is remembered from line to line.
type oracle struct {
	compiler *ast.Compiler
	store    storage.Store
	prepared map[string]rego.PreparedEvalQuery
	cluster  []byte // what /cluster was last made from, nil when there is none
}

func newOracle(dir string) (*oracle, error) {
	loaded, err := loader.NewFileLoader().AsBundle(dir)
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	for _, file := range loaded.Modules {
		// Tests are no part of what is compared, and mock with `with`.
		if !strings.HasSuffix(file.Path, "_test.rego") {
			modules[file.Path] = file.Parsed
		}
	}
	compiler := ast.NewCompiler().WithStrict(true)
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, compiler.Errors
	}
	data := loaded.Data
	if data == nil {
		data = map[string]any{}
	}
	return &oracle{
		compiler: compiler,
		store:    inmem.NewFromObject(data),
		prepared: map[string]rego.PreparedEvalQuery{},
	}, nil
}

// setCluster overwrites data.cluster unless it is still that of the last line.
func (o *oracle) setCluster(ctx context.Context, raw json.RawMessage) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		raw = nil
	}
	if bytes.Equal(raw, o.cluster) {
		return nil
	}
	var op storage.PatchOp
	var value any
	switch {
	case raw == nil:
		op = storage.RemoveOp
	default:
		op = storage.AddOp // replaces as well
		if err := util.UnmarshalJSON(raw, &value); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	err := storage.Txn(ctx, o.store, storage.WriteParams, func(txn storage.Transaction) error {
		return o.store.Write(ctx, txn, op, clusterPath, value)
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	o.cluster = bytes.Clone(raw)
	return nil
}

func (o *oracle) prepare(ctx context.Context, query string) (rego.PreparedEvalQuery, error) {
	if prepared, ok := o.prepared[query]; ok {
		return prepared, nil
	}
	prepared, err := rego.New(
		rego.Query(query),
		rego.Compiler(o.compiler),
		rego.Store(o.store),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	if err == nil {
		o.prepared[query] = prepared
	}
	return prepared, err
}

// evaluate answers one line; found is false when the query is undefined.
func (o *oracle) evaluate(ctx context.Context, req *request) (value any, found bool, err error) {
	if err := o.setCluster(ctx, req.Cluster); err != nil {
		return nil, false, err
	}
	prepared, err := o.prepare(ctx, req.Query)
	if err != nil {
		return nil, false, err
	}
	var options []rego.EvalOption
	if len(req.Input) > 0 {
		var input any
		if err := util.UnmarshalJSON(req.Input, &input); err != nil {
			return nil, false, fmt.Errorf("input: %w", err)
		}
		options = append(options, rego.EvalInput(input))
	}
	results, err := prepared.Eval(ctx, options...)
	if err != nil {
		return nil, false, err
	}
	if len(results) == 0 {
		return nil, false, nil
	}
	return results[0].Expressions[0].Value, true, nil
}

func (o *oracle) answer(ctx context.Context, line []byte) response {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return response{ID: json.RawMessage("null"), Error: "line: " + err.Error()}
	}
	out := response{ID: req.ID}
	if len(out.ID) == 0 {
		out.ID = json.RawMessage("null")
	}
	value, found, err := o.evaluate(ctx, &req)
	switch {
	case err != nil:
		out.Error = err.Error()
	case found:
		out.Result = &value
	default:
		out.Undefined = true
	}
	return out
}

func run(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	o, err := newOracle(dir)
	if err != nil {
		return err
	}
	reader := bufio.NewReaderSize(in, 1<<20)
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	for {
		line, readErr := reader.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := encoder.Encode(o.answer(ctx, line)); err != nil {
				return err
			}
		}
		// Answer at once when the caller writes line by line and waits.
		if readErr != nil || reader.Buffered() == 0 {
			if err := writer.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

func main() {
	dir := flag.String("bundle", "", "directory of the bundle")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: opaeval -bundle DIR < requests.jsonl")
		os.Exit(2)
	}
	if err := run(context.Background(), *dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "opaeval:", err)
		os.Exit(2)
	}
}
