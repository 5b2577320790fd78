package main

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli"
)

func TestVerifyFindsASumThatWasTamperedWith(t *testing.T) {
	// Given a ledger that is as the log is, but for the points that came back from one channel
	data := shopped(t, func(string) {})
	if stdout, stderr, status := runProgram(t, "verify", "--data", data); status != cli.ExitOK {
		t.Fatalf("it exits with %d: %s%s", status, stdout, stderr)
	}
	db, err := sql.Open("sqlite", app.Folder(data).LedgerFile())
	if err != nil {
		t.Fatal(err)
	}
	changed, err := db.Exec(`UPDATE earnings SET reversed = reversed + 3 WHERE channel = 'website' AND reversals > 0`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := changed.RowsAffected(); err != nil || n < 1 {
		t.Fatalf("%d sums were changed, %v", n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// When it is verified, the hour is found
	stdout, stderr, status := runProgram(t, "verify", "--data", data)
	for _, says := range []string{"HOUR", "website", "-4 in 1 reversal", "-1 in 1 reversal"} {
		if !strings.Contains(stdout, says) {
			t.Errorf("there is no %q in\n%s", says, stdout)
		}
	}
	if strings.Contains(stdout, "by hand") || strings.Contains(stdout, "CUSTOMER ") {
		t.Errorf("it lists what does not differ:\n%s", stdout)
	}
	if status != cli.ExitFailed || !strings.Contains(stderr, "in what was earned in 1 hour of a channel") || !strings.Contains(stderr, "loyalty rebuild ledger") {
		t.Errorf("it exits with %d: %s%s", status, stdout, stderr)
	}
	var report cli.VerifyReport
	stdout, _, _ = runProgram(t, "verify", "--json", "--data", data)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || len(report.Findings) != 1 || report.Findings[0].Drifted != 0 || report.Findings[0].EarningsDrifted != 1 {
		t.Fatalf("it prints %s, %v", stdout, err)
	}
	if d := report.Findings[0].EarningDrifts[0]; d.Log.Channel != domain.Website || d.Log.Reversed != -4 || d.ReadModel.Reversed != -1 || !d.Log.At.Equal(d.ReadModel.At) {
		t.Errorf("it found %+v", d)
	}
	// And a rebuild puts it right
	if stdout, stderr, status := runProgram(t, "rebuild", "ledger", "--data", data); status != cli.ExitOK || !strings.Contains(stdout, "differed") {
		t.Errorf("rebuild exits with %d: %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status := runProgram(t, "verify", "--data", data); status != cli.ExitOK {
		t.Errorf("after it, verify exits with %d: %s%s", status, stdout, stderr)
	}
}
