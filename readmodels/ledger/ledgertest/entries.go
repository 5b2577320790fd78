package ledgertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// at is the n-th position of the tests' log. Its two parts differ, as they may.
func at(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n - min(n, 1)} }

func eventID(n uint64) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.FormatUint(n, 10))).String()
}

// award, reversal and adjustment make the entry of the n-th event of the log, with every field set as the projection does.
func award(n uint64, customer domain.CustomerID, points domain.Points) ledger.Entry {
	order := domain.OrderID(fmt.Sprintf("order_%d", n))
	return ledger.Entry{
		EventID: eventID(n), Customer: customer, Kind: ledger.Award, Points: points, OccurredAt: moment(n), Position: at(n),
		Stream: "order-" + string(order), Revision: 1, Order: order,
		Amount: domain.Money{Minor: int64(points)*1000 + 99, Currency: domain.GBP}, Channel: domain.Store,
		Correlation: fmt.Sprintf("request-%d", n),
	}
}

func reversal(n uint64, customer domain.CustomerID, points domain.Points) ledger.Entry {
	e := award(n, customer, points)
	e.Kind, e.Revision, e.Return, e.Amount = ledger.Reversal, 3, domain.ReturnID(fmt.Sprintf("r%d", n)), domain.Money{Minor: 1200, Currency: domain.EUR}
	e.Channel, e.Reason = domain.Website, "zu groß 📦"
	return e
}

func adjustment(n uint64, customer domain.CustomerID, points domain.Points) ledger.Entry {
	return ledger.Entry{
		EventID: eventID(n), Customer: customer, Kind: ledger.Adjustment, Points: points, OccurredAt: moment(n), Position: at(n),
		Stream: "account-" + string(customer), Revision: n, Actor: "agent-7", Reason: "goodwill; parcel's late",
		Loyalty: domain.LoyaltyID(fmt.Sprintf("gift_%d", n)), Correlation: eventID(n + 1),
	}
}

// did makes the audit record of the n-th event of the log. If it is about an adjustment, its id is "gift".
func did(n uint64, kind ledger.AuditKind, customer domain.CustomerID) ledger.AuditRecord {
	a := ledger.AuditRecord{
		EventID: eventID(n), Kind: kind, Customer: customer, Reason: "wegen „Größe“ 📦", Actor: "agent-7", Correlation: eventID(n + 1),
		OccurredAt: moment(n), Position: at(n),
	}
	switch kind {
	case ledger.Requested:
		a.Loyalty, a.Points = "gift", -700
	case ledger.Approved:
		a.Loyalty, a.Points, a.Actor, a.Reason = "gift", -700, "lead-1", ""
	case ledger.Declined:
		a.Loyalty, a.Actor = "gift", "lead-1"
	case ledger.Certified:
		a.Reason = ""
	case ledger.Viewed:
		a.Reason, a.Route = "", "/loyalty/:userId/trail"
	}
	return a
}

// compare compares all answers of the ledger with the model's.
func compare(ctx context.Context, l Ledger, m *Model) error {
	outstanding, err := l.Outstanding(ctx)
	if err != nil || outstanding != m.Outstanding() {
		return fmt.Errorf("outstanding are %d points, %v; want %d", outstanding, err, m.Outstanding())
	}
	if err := compareFound(ctx, l, m); err != nil {
		return err
	}
	if err := errors.Join(compareSeasons(ctx, l, m), someEarnings(ctx, l, m)); err != nil {
		return err
	}
	return compareContents(ctx, l, m)
}

// contents is the common part of a ledger and a copy.
type contents interface {
	ledger.Reader
	ledger.Auditor
	ledger.Earner
	ledger.Writer
}

func compareContents(ctx context.Context, l contents, m *Model) error {
	checkpoint, err := l.Checkpoint(ctx)
	if err != nil || checkpoint != m.at {
		return fmt.Errorf("the checkpoint is %+v, %v; want %+v", checkpoint, err, m.at)
	}
	accounts, state, err := allAccounts(ctx, l)
	if err != nil {
		return err
	}
	if diff := gocmp.Diff(m.Accounts(), accounts); diff != "" {
		return fmt.Errorf("the accounts differ (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(ledger.Snapshot{Checkpoint: m.at, AsOf: m.state.AsOf}, state); diff != "" {
		return fmt.Errorf("the state with the accounts differs (-want +got):\n%s", diff)
	}
	if err := compareEarned(ctx, l, m); err != nil {
		return err
	}
	for _, filter := range []ledger.AuditFilter{{}, {Waiting: true}} {
		got, err := wholeAuditLog(ctx, l, m, filter, 30)
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(m.AuditLog(filter), got); diff != "" {
			return fmt.Errorf("the audit records that %+v lets through differ (-want +got):\n%s", filter, diff)
		}
	}
	for _, customer := range append(m.Customers(), "nobody") {
		account, state, err := l.Account(ctx, customer)
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(m.Account(customer), account); diff != "" {
			return fmt.Errorf("the account of %s differs (-want +got):\n%s", customer, diff)
		}
		if diff := gocmp.Diff(m.State(), state); diff != "" {
			return fmt.Errorf("the state with the account of %s differs (-want +got):\n%s", customer, diff)
		}
		trail, err := wholeTrail(ctx, l, customer, 7)
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(m.Entries(customer), trail); diff != "" {
			return fmt.Errorf("the trail of %s differs (-want +got):\n%s", customer, diff)
		}
	}
	return nil
}

// allAccounts collects Accounts, sorted by customer.
func allAccounts(ctx context.Context, l ledger.Reader) (all []ledger.Account, state ledger.Snapshot, err error) {
	state, err = l.Accounts(ctx, ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
		all = append(all, a)
		return nil
	}))
	slices.SortFunc(all, func(a, b ledger.Account) int { return cmp.Compare(a.Customer, b.Customer) })
	return all, state, err
}

// wholeTrail reads all pages of a customer's trail, and checks the size of each.
func wholeTrail(ctx context.Context, l ledger.Reader, customer domain.CustomerID, limit int) (all []ledger.Entry, err error) {
	for cursor := ""; ; {
		page, err := l.Trail(ctx, customer, ledger.Filter{}, cursor, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		switch {
		case page.Account.Customer != customer:
			return nil, fmt.Errorf("the trail of %s came with the account of %q", customer, page.Account.Customer)
		case page.Next == "":
			return all, nil
		case len(page.Entries) != limit:
			return nil, fmt.Errorf("a page that is not the last holds %d entries of %d", len(page.Entries), limit)
		}
		cursor = page.Next
	}
}

// invalid reports whether err is domain.ErrInvalid about the field, with the code.
func invalid(err error, field, code string) bool {
	var e *domain.InvalidError
	return errors.As(err, &e) && len(e.Fields) == 1 && e.Fields[0].Field == field && e.Fields[0].Code == code
}
