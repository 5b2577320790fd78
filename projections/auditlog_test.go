package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

func about(customer domain.CustomerID) domain.About {
	return domain.About{CustomerID: customer, OccurredAt: time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.UTC)}
}

func revealed(customer domain.CustomerID) domain.Event {
	return account.ProxyNameRevealed{About: about(customer), Reason: "a call about it", Actor: "s-2"}
}

func TestTheLedgerShowsWhatSupportDidWithItsEvidence(t *testing.T) {
	store, l := storetest.Open(t), openLedger(t)
	run(t, projections.Ledger{Writer: l}, store, projections.Options{})
	events := []domain.Event{
		account.AdjustmentRequested{About: about("alice"), LoyaltyID: "l-1", Points: 700, Reason: "a lost parcel", Actor: "s-1"},
		account.AdjustmentRequested{About: about("alice"), LoyaltyID: "l-2", Points: -900, Reason: "a mistake", Actor: "s-1"},
		account.AdjustmentApproved{About: about("alice"), LoyaltyID: "l-1", Points: 700, RequestedBy: "s-1", Actor: "lead-1"},
		account.PointsAdjusted{About: about("alice"), LoyaltyID: "l-1", Points: 700, Reason: "a lost parcel", Actor: "s-1"},
		account.AdjustmentDeclined{About: about("alice"), LoyaltyID: "l-2", Reason: "it was none", Actor: "lead-1"},
		account.AdjustmentRequested{About: about("bob"), LoyaltyID: "l-1", Points: 800, Reason: "a lost parcel", Actor: "s-1"},
		revealed("bob"),
		account.CustomerForgotten{About: about("alice"), Reason: "asked for it", Actor: "s-3"},
		account.ErasureCertified{About: about("alice"), Checks: []account.Check{{Model: "ledger", Clean: true}}, Actor: "s-3"},
	}
	last, err := store.Append(bounded(t), "account-alice", eventstore.NoStream, uuid.New(), eventstore.Metadata{Actor: "who signed in", Correlation: "call-7"}, events...)
	if err := errors.Join(err, l.Wait(bounded(t), last)); err != nil {
		t.Fatal(err)
	}
	page, err := l.AuditLog(bounded(t), ledger.AuditFilter{}, "", 20)
	if err != nil {
		t.Fatal(err)
	}
	want := []ledger.AuditRecord{
		{Kind: ledger.Certified, Customer: "alice", Actor: "s-3"},
		{Kind: ledger.Forgotten, Customer: "alice", Reason: "asked for it", Actor: "s-3"},
		{Kind: ledger.Revealed, Customer: "bob", Reason: "a call about it", Actor: "s-2"},
		{Kind: ledger.Requested, Customer: "bob", Loyalty: "l-1", Points: 800, Reason: "a lost parcel", Actor: "s-1"},
		{Kind: ledger.Declined, Customer: "alice", Loyalty: "l-2", Reason: "it was none", Actor: "lead-1"},
		{Kind: ledger.Approved, Customer: "alice", Loyalty: "l-1", Points: 700, Actor: "lead-1"},
		{Kind: ledger.Requested, Customer: "alice", Loyalty: "l-2", Points: -900, Reason: "a mistake", Actor: "s-1", Decided: true},
		{Kind: ledger.Requested, Customer: "alice", Loyalty: "l-1", Points: 700, Reason: "a lost parcel", Actor: "s-1", Decided: true},
	}
	for i := range want {
		want[i].Correlation, want[i].OccurredAt = "call-7", time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	}
	if diff := cmp.Diff(want, page.Records, cmpopts.IgnoreFields(ledger.AuditRecord{}, "EventID", "Position")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stored, _, err := store.Load(bounded(t), "account-alice")
	if err != nil {
		t.Fatal(err)
	}
	if first, newest := stored[0], page.Records[0]; page.Records[7].EventID != first.ID.String() || newest.EventID != stored[8].ID.String() || newest.Position != last {
		t.Errorf("the first is %s and the newest %s at %s; want %s, %s, %s", page.Records[7].EventID, newest.EventID, newest.Position, first.ID, stored[8].ID, last)
	}
	if account, _, err := l.Account(bounded(t), "alice"); err != nil || account.Points != 700 || account.Entries != 1 || !account.Forgotten {
		t.Errorf("alice has %+v, %v", account, err)
	}
}

func TestALeaderboardLoadedFromALedgerThatIsPastAForgetDoesNotShowThatCustomer(t *testing.T) {
	s, proxies := openShop(t), testProxies(t)
	// Given some who were forgotten, and who get points all the same
	last := happen(t, s.store, forgotten("c-03"), forgotten("c-04"), forgotten("stranger"), storetest.Adjusted("c-04", 50), storetest.Adjusted("stranger", 60))
	if err := s.ledger.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	for _, board := range []loadable{memory.New(), openBoard(t)} {
		// When a new leaderboard starts
		run(t, projections.Leaderboard{Writer: board, Accounts: s.ledger, Proxies: proxies}, s.store, projections.Options{})
		after := happen(t, s.store, storetest.Adjusted("c-03", 40), storetest.Adjusted("c-05", 1))
		if err := board.Wait(bounded(t), after); err != nil {
			t.Fatal(err)
		}
		// Then all others are on it, and they are not
		for _, customer := range []domain.CustomerID{"c-03", "c-04", "stranger"} {
			if s, ranked, _, err := board.Standing(bounded(t), proxies.Key(customer)); err != nil || ranked || !s.Retired {
				t.Errorf("%s stands at %+v, %v, %v", customer, s, ranked, err)
			}
		}
		found, err := projections.NewFold(s.store).VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{})
		if err != nil || found.Drifted != 0 || found.Customers != shoppers-2 {
			t.Errorf("found %+v, %v", found, err)
		}
	}
}

type loadable interface {
	projections.ComparableLeaderboard
	leaderboard.Writer
}

// olderLedger is the projection of a process that knows nothing of what support does.
type olderLedger struct{ projections.Ledger }

func (olderLedger) Types() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted}
}

func TestALedgerThatMissedWhatSupportDidIsFoundAndPutRight(t *testing.T) {
	s, proxies := openShop(t), testProxies(t)
	// Given a ledger of a version before, which is as far as the log
	last := happen(t, s.store, forgotten("c-03"), forgotten("never-seen"), revealed("c-04"), revealed("c-04"), storetest.Adjusted("c-05", 1))
	older := openLedger(t)
	run(t, olderLedger{projections.Ledger{Writer: older, Proxies: proxies}}, s.store, projections.Options{})
	if err := older.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	// When it is compared with the log
	fold := projections.NewFold(s.store)
	found, err := fold.VerifyLedger(bounded(t), older, projections.CompareOptions{})
	// Then it lacks who was forgotten, and what was done
	said := func(customer domain.CustomerID, change func(*projections.DriftTotal)) *projections.DriftTotal {
		a, _, err := older.Account(bounded(t), customer)
		if err != nil {
			t.Fatal(err)
		}
		d := &projections.DriftTotal{Points: a.Points, ReachedAt: a.ReachedAt, Entries: a.Entries}
		change(d)
		return d
	}
	want := []projections.Drift{
		{Customer: "c-03", Log: said("c-03", func(d *projections.DriftTotal) { d.Forgotten = true }), ReadModel: said("c-03", func(*projections.DriftTotal) {})},
		{Customer: "c-04", Log: said("c-04", func(d *projections.DriftTotal) { d.AuditRecords = 2 }), ReadModel: said("c-04", func(*projections.DriftTotal) {})},
		{Customer: "never-seen", Log: &projections.DriftTotal{Forgotten: true}},
	}
	if diff := cmp.Diff(want, found.Drifts); err != nil || diff != "" || found.Drifted != 3 || found.Customers != shoppers+1 {
		t.Fatalf("counted %d of %d, %v (-want +got):\n%s", found.Drifted, found.Customers, err, diff)
	}
	// And when it is rebuilt, it has all of it
	if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, older, proxies, projections.CompareOptions{}); err != nil || !rebuilt.Differs || rebuilt.Customers != shoppers+1 {
		t.Fatalf("rebuilt %+v, %v", rebuilt, err)
	}
	if found, err := fold.VerifyLedger(bounded(t), older, projections.CompareOptions{}); err != nil || found.Drifted != 0 || found.Digest != fold.LedgerDigest() {
		t.Fatalf("after: %+v, %v", found, err)
	}
	if named, err := ledger.Named(bounded(t), older, proxies, proxies.Key("c-03").Name()); err != nil || len(named) > 0 {
		t.Errorf("the name still leads to %v, %v", named, err)
	}
	if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, older, proxies, projections.CompareOptions{}); err != nil || rebuilt.Differs || *rebuilt.LiveDigest != rebuilt.Digest {
		t.Errorf("a second time: %+v, %v", rebuilt, err)
	}
}

func TestALedgerThatShowsWhatNobodyDidIsFoundAndPutRight(t *testing.T) {
	for name, c := range map[string]struct {
		kind    ledger.AuditKind
		drifted projections.DriftTotal
	}{
		"somebody forgotten":   {ledger.Forgotten, projections.DriftTotal{Forgotten: true}},
		"a revealed name":      {ledger.Revealed, projections.DriftTotal{AuditRecords: 1}},
		"an adjustment's end":  {ledger.Declined, projections.DriftTotal{AuditRecords: 1}},
		"a certificate's text": {ledger.Certified, projections.DriftTotal{AuditRecords: 1}},
	} {
		s := openShop(t)
		// Given a ledger with an audit record that no event stands for
		at, err := s.ledger.Checkpoint(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		made := ledger.AuditRecord{EventID: uuid.NewString(), Kind: c.kind, Customer: "c-01", Actor: "s-9", OccurredAt: time.Now(), Position: domain.Position{Commit: at.Position.Commit + 1, Prepare: at.Position.Prepare + 1}}
		if err := s.ledger.Apply(bounded(t), ledger.Batch{From: at, To: domain.CheckpointAt(made.Position), AuditRecords: []ledger.AuditRecord{made}}); err != nil {
			t.Fatal(err)
		}
		appendOrder(t, s.store, "c-02", "o-more") // where the ledger pretends to be, the log has an event without points
		fold := projections.NewFold(s.store)
		found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{})
		if err != nil || found.Drifted != 1 || found.Drifts[0].Customer != "c-01" || found.Drifts[0].Log.Forgotten || found.Drifts[0].Log.AuditRecords != 0 ||
			found.Drifts[0].ReadModel.Forgotten != c.drifted.Forgotten || found.Drifts[0].ReadModel.AuditRecords != c.drifted.AuditRecords {
			t.Fatalf("%s: before: %+v, %v", name, found, err)
		}
		if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{}); err != nil || !rebuilt.Differs {
			t.Fatalf("%s: rebuilt %+v, %v", name, rebuilt, err)
		}
		if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
			t.Fatalf("%s: after: %+v, %v", name, found, err)
		}
	}
}

func TestTheDigestOfALedgerTellsWhoIsForgotten(t *testing.T) {
	s := openShop(t)
	digestAt := func(at domain.Position) projections.Digest {
		fold := projections.NewFold(s.store)
		if err := fold.Advance(bounded(t), at, func(domain.Position) {}); err != nil {
			t.Fatal(err)
		}
		return fold.LedgerDigest()
	}
	before := digestAt(s.last)
	shown := digestAt(happen(t, s.store, revealed("c-03")))
	gone := digestAt(happen(t, s.store, forgotten("c-03")))
	if again := digestAt(happen(t, s.store, forgotten("c-03"))); before != shown || shown == gone || gone != again {
		t.Errorf("before %s, after a reveal %s, forgotten %s, forgotten again %s", before, shown, gone, again)
	}
}

// falseAuditLog tells other audit records than there are.
type falseAuditLog struct {
	rebuildableLedger
	tell func(*ledger.AuditRecord)
}

func (l falseAuditLog) AuditLog(ctx context.Context, filter ledger.AuditFilter, cursor string, limit int) (ledger.AuditPage, error) {
	page, err := l.rebuildableLedger.AuditLog(ctx, filter, cursor, limit)
	for i := range page.Records {
		l.tell(&page.Records[i])
	}
	return page, err
}

func TestEveryDriftOfAnActIsFound(t *testing.T) {
	s := openShop(t)
	request := account.AdjustmentRequested{About: about("c-07"), LoyaltyID: "l-1", Points: 700, Reason: "a lost parcel", Actor: "s-1"}
	if err := s.ledger.Wait(bounded(t), happen(t, s.store, request)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tell  func(*ledger.AuditRecord)
		drift int64
	}{
		"nothing":            {func(*ledger.AuditRecord) {}, 0},
		"whether it waits":   {func(a *ledger.AuditRecord) { a.Decided = true }, 0}, // follows from other audit records
		"an event id":        {func(a *ledger.AuditRecord) { a.EventID = uuid.NewString() }, 1},
		"a kind":             {func(a *ledger.AuditRecord) { a.Kind = ledger.Approved }, 1},
		"another customer's": {func(a *ledger.AuditRecord) { a.Customer = "c-08" }, 2},
		"a loyalty id":       {func(a *ledger.AuditRecord) { a.Loyalty = "l-2" }, 1},
		"points":             {func(a *ledger.AuditRecord) { a.Points-- }, 1},
		"a reason":           {func(a *ledger.AuditRecord) { a.Reason = "" }, 1},
		"an actor":           {func(a *ledger.AuditRecord) { a.Actor = "s-2" }, 1},
		"a correlation":      {func(a *ledger.AuditRecord) { a.Correlation = "call-8" }, 1},
		"a time":             {func(a *ledger.AuditRecord) { a.OccurredAt = a.OccurredAt.Add(time.Microsecond) }, 1},
		"a place":            {func(a *ledger.AuditRecord) { a.Position.Prepare++ }, 1},
	} {
		found, err := projections.NewFold(s.store).VerifyLedger(bounded(t), falseAuditLog{s.ledger, c.tell}, projections.CompareOptions{})
		if err != nil || found.Drifted != c.drift {
			t.Errorf("%s: found %+v, %v", name, found, err)
		}
	}
}
