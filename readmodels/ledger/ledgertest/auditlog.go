package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var auditClauses = []clause{
	{"audit records come back newest first, every field of them, and change no points", func(f *fixture) {
		f.add(award(1, "anna", 5))
		asked := did(2, ledger.Requested, "anna")
		asked.OccurredAt = time.Date(2026, 7, 1, 0, 30, 0, 987_654_321, time.FixedZone("summer", 3600))
		b := batchAfter(&f.model, []ledger.Entry{award(4, "bob", 3)}, []ledger.AuditRecord{asked, did(3, ledger.Viewed, "bob"), did(5, ledger.Approved, "anna")})
		f.applied(b)
		f.equalsModel()
		page, err := f.AuditLog(f.ctx, ledger.AuditFilter{}, "", 10)
		asked.OccurredAt, asked.Decided = time.Date(2026, 6, 30, 23, 30, 0, 987_654_000, time.UTC), true
		want := ledger.AuditPage{Records: []ledger.AuditRecord{did(5, ledger.Approved, "anna"), did(3, ledger.Viewed, "bob"), asked}, State: f.model.State()}
		if diff := gocmp.Diff(want, page); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if account, _, err := f.Account(f.ctx, "anna"); err != nil || account != (ledger.Account{Customer: "anna", Points: 5, ReachedAt: moment(1), Entries: 1}) {
			f.Errorf("anna has %+v, %v", account, err)
		}
	}},

	{"a ledger without audit records has an empty page of them", func(f *fixture) {
		f.add(award(1, "anna", 5))
		page, err := f.AuditLog(f.ctx, ledger.AuditFilter{}, "", 10)
		if diff := gocmp.Diff(ledger.AuditPage{State: f.model.State()}, page); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"audit records that are delivered again are refused and change nothing", func(f *fixture) {
		first := batchAfter(&f.model, nil, []ledger.AuditRecord{did(1, ledger.Requested, "anna"), did(2, ledger.Revealed, "bob")})
		f.applied(first)
		f.refused(first, domain.ErrCheckpointMoved)
		second := batchAfter(&f.model, []ledger.Entry{award(3, "anna", 1)}, []ledger.AuditRecord{did(4, ledger.Declined, "anna"), did(5, ledger.Forgotten, "bob")})
		f.applied(second)
		for _, again := range []ledger.Batch{second, first, {From: domain.CheckpointAt(at(9)), To: domain.CheckpointAt(at(20)), AuditRecords: []ledger.AuditRecord{did(12, ledger.Forgotten, "cleo")}}} {
			f.refused(again, domain.ErrCheckpointMoved)
		}
	}},

	{"audit records go in with the entries of their batch, or not at all", func(f *fixture) {
		f.add(adjustment(1, "rich", domain.MaxChange))
		f.did(did(2, ledger.Requested, "anna"))
		records := []ledger.AuditRecord{did(3, ledger.Declined, "anna"), did(4, ledger.Forgotten, "bob"), did(5, ledger.Revealed, "cleo")}
		f.refused(batchAfter(&f.model, []ledger.Entry{award(6, "rich", domain.MaxChange+1)}, records), nil)
		twice := slices.Clone(records)
		twice[2].EventID = eventID(2)
		f.refused(batchAfter(&f.model, []ledger.Entry{award(6, "anna", 1)}, twice), nil)
		twice[2].EventID = eventID(4)
		f.refused(batchAfter(&f.model, []ledger.Entry{award(6, "anna", 1)}, twice), nil)
		f.refused(batchAfter(&f.model, []ledger.Entry{award(4, "anna", 1)}, records), nil)
		f.applied(batchAfter(&f.model, []ledger.Entry{award(6, "anna", 1)}, records))
		f.equalsModel()
	}},

	{"a request waits until one of the same customer and id decides it", func(f *fixture) {
		another := did(3, ledger.Requested, "anna")
		another.Loyalty = "other"
		f.did(did(1, ledger.Requested, "anna"), did(2, ledger.Requested, "bob"), another)
		f.waits(3, 2, 1)
		f.did(did(4, ledger.Approved, "anna"), did(5, ledger.Revealed, "bob"), did(6, ledger.Declined, "cleo"))
		f.waits(3, 2)
		f.did(did(7, ledger.Declined, "bob"), did(8, ledger.Requested, "dora"), did(9, ledger.Approved, "dora"), did(10, ledger.Requested, "dora"))
		f.waits(10, 3)
		for _, filter := range []ledger.AuditFilter{
			{Waiting: true, Customer: "dora"}, {Waiting: true, Customer: "bob"}, {Waiting: true, Actor: "agent-7"}, {Waiting: true, Kinds: []ledger.AuditKind{ledger.Approved}},
			{Waiting: true, Kinds: []ledger.AuditKind{ledger.Requested, ledger.Approved}}, {Waiting: true, Until: moment(5)},
		} {
			got, err := wholeAuditLog(f.ctx, f, &f.model, filter, 1)
			if diff := gocmp.Diff(f.model.AuditLog(filter), got); err != nil || diff != "" {
				f.Errorf("%+v: %v (-want +got):\n%s", filter, err, diff)
			}
		}
		f.equalsModel()
	}},

	{"a filter lets through the audit records that match all of it, in pages of every size", func(f *fixture) {
		f.business(90)
		for name, c := range map[string]struct {
			filter ledger.AuditFilter
			want   int
		}{
			"none":                    {ledger.AuditFilter{}, 90},
			"a kind":                  {ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Revealed}}, 15},
			"two kinds":               {ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Revealed, ledger.Forgotten}}, 30},
			"a kind twice":            {ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Revealed, ledger.Revealed}}, 15},
			"a part of a kind":        {ledger.AuditFilter{Kinds: []ledger.AuditKind{"reveal", "requestedrevealed"}}, 0},
			"a customer":              {ledger.AuditFilter{Customer: "cleo"}, 18},
			"a customer without any":  {ledger.AuditFilter{Customer: "Cleo"}, 0},
			"an actor":                {ledger.AuditFilter{Actor: "lead-1"}, 30},
			"an actor without any":    {ledger.AuditFilter{Actor: "LEAD-1"}, 0},
			"no actor's name":         {ledger.AuditFilter{Actor: "\x00"}, 0},
			"no text":                 {ledger.AuditFilter{Actor: "\xff", Customer: "\xff"}, 0},
			"a date from":             {ledger.AuditFilter{From: moment(81)}, 10},
			"a date until":            {ledger.AuditFilter{Until: moment(81)}, 80},
			"one moment":              {ledger.AuditFilter{From: moment(20), Until: moment(21)}, 1},
			"a time turned around":    {ledger.AuditFilter{From: moment(21), Until: moment(20)}, 0},
			"a part of a microsecond": {ledger.AuditFilter{From: moment(20).Add(time.Nanosecond), Until: moment(21).Add(time.Nanosecond)}, 1},
			"all of it":               {ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Approved, ledger.Declined}, Customer: "anna", Actor: "lead-1", From: moment(2), Until: moment(80)}, 4},
		} {
			want := f.model.AuditLog(c.filter)
			if len(want) != c.want {
				f.Fatalf("%s: the model has %d audit records, want %d", name, len(want), c.want)
			}
			for _, limit := range []int{1, 7, ledger.MaxPage} {
				got, err := wholeAuditLog(f.ctx, f, &f.model, c.filter, limit)
				if diff := gocmp.Diff(want, got); err != nil || diff != "" {
					f.Errorf("%s, in pages of %d: %v (-want +got):\n%s", name, limit, err, diff)
				}
			}
		}
	}},

	{"pages hold the audit records there were with the first, whatever arrives between them", func(f *fixture) {
		f.business(40)
		filter := ledger.AuditFilter{Customer: "anna"}
		want, n := f.model.AuditLog(filter), uint64(100)
		var got []ledger.AuditRecord
		for cursor := ""; ; n += 3 {
			page, err := f.AuditLog(f.ctx, filter, cursor, 3)
			if err != nil || page.State != f.model.State() {
				f.Fatalf("in %+v: %v", page.State, err)
			}
			got = append(got, page.Records...)
			if cursor = page.Next; cursor == "" {
				break
			}
			f.applied(batchAfter(&f.model, []ledger.Entry{award(n, "anna", 1)}, []ledger.AuditRecord{did(n+1, ledger.Revealed, "anna"), did(n+2, ledger.Revealed, "bob")}))
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			f.Fatalf("(-want +got):\n%s", diff)
		}
	}},

	{"audit records with the same commit part are told apart", func(f *fixture) {
		for i := range uint64(6) {
			a := did(10+i, ledger.Revealed, "anna")
			a.Position = domain.Position{Commit: 10 + i/3, Prepare: 1 + i%3}
			f.did(a)
		}
		got, err := wholeAuditLog(f.ctx, f, &f.model, ledger.AuditFilter{}, 1)
		if diff := gocmp.Diff(f.model.AuditLog(ledger.AuditFilter{}), got); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"a cursor of other audit records, of a trail or of nothing is invalid for audit records", func(f *fixture) {
		f.business(40)
		given := ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Approved, ledger.Declined}, Actor: "lead-1"}
		page, err := f.AuditLog(f.ctx, given, "", 2)
		if err != nil || page.Next == "" {
			f.Fatalf("next %q, %v", page.Next, err)
		}
		same := given
		same.Kinds = []ledger.AuditKind{ledger.Declined, ledger.Approved}
		if _, err := f.AuditLog(f.ctx, same, page.Next, 2); err != nil {
			f.Errorf("the same filter: %v", err)
		}
		other := given
		other.Waiting = true
		for _, c := range []struct {
			filter ledger.AuditFilter
			cursor string
		}{
			{other, page.Next}, {ledger.AuditFilter{}, page.Next}, {given, page.Next[1:]}, {given, "0"},
			{ledger.AuditFilter{}, ledger.EncodeCursor("", ledger.Filter{}, at(9))},
		} {
			if page, err := f.AuditLog(f.ctx, c.filter, c.cursor, 2); !invalid(err, "cursor", "cursor_invalid") || len(page.Records) > 0 {
				f.Errorf("the cursor %q gives %d audit records, %v", c.cursor, len(page.Records), err)
			}
		}
	}},

	{"a page holds 1 to MaxPage audit records", func(f *fixture) {
		f.business(ledger.MaxPage + 1)
		for _, limit := range []int{-1, 0, ledger.MaxPage + 1, 1 << 40} {
			if _, err := f.AuditLog(f.ctx, ledger.AuditFilter{}, "", limit); !invalid(err, "limit", "limit_out_of_range") {
				f.Errorf("the limit %d gives %v", limit, err)
			}
		}
		for _, limit := range []int{1, ledger.MaxPage} {
			if page, err := f.AuditLog(f.ctx, ledger.AuditFilter{}, "", limit); err != nil || len(page.Records) != limit || page.Next == "" {
				f.Errorf("the limit %d gives %d audit records, next %q, %v", limit, len(page.Records), page.Next, err)
			}
		}
	}},
}

// business adds n audit records, of every kind by turns and of five customers, in batches of up to eleven, and no entries.
func (f *fixture) business(n uint64) {
	f.Helper()
	kinds := []ledger.AuditKind{ledger.Requested, ledger.Approved, ledger.Declined, ledger.Forgotten, ledger.Certified, ledger.Revealed}
	var all []ledger.AuditRecord
	for i := range n {
		all = append(all, did(i+1, kinds[i%6], []domain.CustomerID{"anna", "bob", "cleo", "dora", "eva"}[i%5]))
	}
	for some := range slices.Chunk(all, 11) {
		f.did(some...)
	}
}

// waits expects that exactly the requests of these events wait.
func (f *fixture) waits(events ...uint64) {
	f.Helper()
	page, err := f.AuditLog(f.ctx, ledger.AuditFilter{Waiting: true}, "", 10)
	var got []domain.Position
	for _, a := range page.Records {
		got = append(got, a.Position)
	}
	var want []domain.Position
	for _, n := range events {
		want = append(want, at(n))
	}
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		f.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	f.equalsModel()
}

// wholeAuditLog reads all pages of matching audit records, and checks the size and state of each.
func wholeAuditLog(ctx context.Context, l ledger.Auditor, m *Model, filter ledger.AuditFilter, limit int) (all []ledger.AuditRecord, err error) {
	for cursor := ""; ; {
		page, err := l.AuditLog(ctx, filter, cursor, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Records...)
		switch {
		case page.State != m.State():
			return nil, fmt.Errorf("a page came in %+v, want %+v", page.State, m.State())
		case page.Next == "":
			return all, nil
		case len(page.Records) != limit:
			return nil, fmt.Errorf("a page that is not the last holds %d audit records of %d", len(page.Records), limit)
		}
		cursor = page.Next
	}
}
