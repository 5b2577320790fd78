package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/analytics/export"
)

// question is one of docs/analysts.md.
type question struct {
	title, sql string
	answer     [][]string // the heading, then the rows
}

// questions reads the document: what is run first, and the questions.
func questions(t *testing.T) (setup string, all []question) {
	t.Helper()
	text, err := os.ReadFile("../../docs/analysts.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, sections, _ := strings.Cut(string(text), "\n### ")
	setup = fenced(begin[strings.Index(begin, "## Ten questions"):])
	for _, section := range strings.Split(sections, "\n### ") {
		title, body, _ := strings.Cut(section, "\n")
		q := question{title: title, sql: fenced(body)}
		for _, line := range strings.Split(body, "\n") {
			if inside, row := strings.CutPrefix(line, "| "); row {
				cells := strings.Split(strings.TrimSuffix(inside, "|"), "|")
				for i := range cells {
					cells[i] = strings.TrimSpace(cells[i])
				}
				q.answer = append(q.answer, cells)
			}
		}
		all = append(all, q)
	}
	return setup, all
}

// fenced is the first block of SQL in a text.
func fenced(text string) string {
	_, after, _ := strings.Cut(text, "```sql\n")
	sql, _, _ := strings.Cut(after, "```")
	return sql
}

// TestTheTenQuestionsOfTheDocumentHaveTheAnswersInIt answers them in Go from the exported rows, and with DuckDB itself where
// LOYALTY_DUCKDB is set (make duckdb): npm then installs it, 70 MB.
func TestTheTenQuestionsOfTheDocumentHaveTheAnswersInIt(t *testing.T) {
	h := autumn(t)
	o := h.options(export.Parquet)
	h.run(o)
	setup, all := questions(t)
	rows := readParquet(t, o.Dir)
	for i, q := range all {
		t.Run(q.title, func(t *testing.T) {
			if len(q.answer) < 2 {
				t.Fatal("the document has no answer")
			}
			if diff := cmp.Diff(q.answer[1:], answers[i](rows)); diff != "" {
				t.Errorf("the document (-) and Go (+) differ:\n%s", diff)
			}
		})
	}
	if len(all) != len(answers) {
		t.Errorf("there are %d questions", len(all))
	}
	if os.Getenv("LOYALTY_DUCKDB") == "" {
		return
	}
	path := "'" + filepath.ToSlash(o.Dir) + "/*/*.parquet'"
	statements := []string{strings.ReplaceAll(setup, "'history/*/*.parquet'", path)}
	if statements[0] == setup {
		t.Fatal("the document does not say where history is")
	}
	for _, q := range all {
		statements = append(statements, q.sql)
	}
	said := duckDB(t, statements)
	for i, q := range all {
		t.Run(q.title+" DuckDB", func(t *testing.T) {
			if diff := cmp.Diff(q.answer, said[i+1]); diff != "" {
				t.Errorf("the document (-) and DuckDB (+) differ:\n%s\n%s", diff, asTable(said[i+1]))
			}
		})
	}
}

// asTable writes an answer as the document has it.
func asTable(answer [][]string) string {
	var b strings.Builder
	for i, row := range answer {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	return b.String()
}

// duckDB has DuckDB answer the statements, which npm installs for it.
func duckDB(t *testing.T, statements []string) [][][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	script, err := os.ReadFile("testdata/duckdb.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "duckdb.mjs"), script, 0o644); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "@duckdb/node-api@1.5.6-r.1")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("DuckDB can't be installed: %v\n%s", err, out)
	}
	input, err := json.Marshal(statements)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(ctx, "node", "duckdb.mjs")
	node.Dir, node.Stdin = dir, bytes.NewReader(input)
	var errs bytes.Buffer
	node.Stderr = &errs
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var said [][][]string
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	return said
}
