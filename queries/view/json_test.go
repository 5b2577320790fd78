package view_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/queries"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

var (
	at   = domain.Position{Commit: 7, Prepare: 7}
	noon = time.Date(2026, 11, 23, 13, 0, 0, 0, time.FixedZone("CET", 3600))
)

func TestTheJSONOfEachIsAsDocumented(t *testing.T) {
	requested := ledger.AuditRecord{
		EventID: "e-1", Kind: ledger.Requested, Customer: "ann", Loyalty: "l-1", Points: 500, Reason: "lost parcel", Actor: "agent-1",
		Correlation: "c-1", OccurredAt: noon, Position: at,
	}
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"a request": {view.AuditRecordsOf([]ledger.AuditRecord{requested}),
			`[{"eventId":"e-1","kind":"requested","customerId":"ann","loyaltyId":"l-1","points":500,"reason":"lost parcel","actor":"agent-1","correlationId":"c-1","occurredAt":"2026-11-23T12:00:00Z","position":"7","decided":false}]`},
		"a reveal": {view.AuditRecordsOf([]ledger.AuditRecord{{EventID: "e-2", Kind: ledger.Revealed, Customer: "ann", Actor: "agent-1", OccurredAt: noon, Position: at}}),
			`[{"eventId":"e-2","kind":"revealed","customerId":"ann","actor":"agent-1","occurredAt":"2026-11-23T12:00:00Z","position":"7"}]`},
		"no audit records": {view.AuditRecordsOf(nil), `[]`},
		"an approval": {view.ApprovalsOf([]ledger.AuditRecord{requested}),
			`[{"customerId":"ann","loyaltyId":"l-1","points":500,"reason":"lost parcel","requestedBy":"agent-1","occurredAt":"2026-11-23T12:00:00Z","position":"7"}]`},
		"no approvals":     {view.ApprovalsOf(nil), `[]`},
		"an empty search":  {view.SearchResultOf(queries.Found{}), `{"matches":[],"more":false}`},
		"a search by name": {view.SearchResultOf(queries.Found{ProxyName: "Amber Otter 482913"}), `{"matches":[],"more":false,"proxyName":{"name":"Amber Otter 482913","customers":0}}`},
		"a search by id": {view.SearchResultOf(queries.Found{Found: ledger.Found{More: true, Matches: []ledger.Match{
			{By: ledger.ByCustomer, Customer: "o-1"}, {By: ledger.ByOrder, Customer: "ann", Order: "o-1", EventID: "e-1", OccurredAt: noon},
		}}}), `{"matches":[{"by":"customer","customerId":"o-1"},{"by":"order","customerId":"ann","orderId":"o-1","entryId":"e-1","occurredAt":"2026-11-23T12:00:00Z"}],"more":true}`},
		"an explanation of nothing": {view.ExplanationOf(queries.Explanation{Entry: ledger.Entry{EventID: "e-1", Kind: ledger.Award, OccurredAt: noon, Position: at}}),
			`{"entry":{"entryId":"e-1","kind":"award","points":0,"total":0,"occurredAt":"2026-11-23T12:00:00Z","position":"7","stream":"","revision":0},"text":"","steps":[],` +
				`"proof":{"sum":0,"computed":0,"before":0,"after":0,"agrees":false,"trouble":[]},"events":[]}`},
		"an explanation": {view.ExplanationOf(queries.Explanation{
			Text: "+5", Steps: []queries.Step{{EventID: "e-1", Text: "+5", Points: 5, This: true}},
			Proof: queries.Proof{Sum: 5, Computed: 5, Before: 1, After: 6, Agrees: true, Mismatches: []string{"why"}},
			Events: []queries.Event{
				{EventID: "e-1", Type: "points-adjusted.v1", Stream: "account-ann", Revision: 3, Position: at, StoredAt: noon.UTC(), Data: []byte(`{"a":1}`), Metadata: []byte(`{}`)},
				{EventID: "e-2", StoredAt: noon.UTC()},
			},
		}), `{"entry":{"entryId":"","kind":"","points":0,"total":0,"occurredAt":"0001-01-01T00:00:00Z","position":"0","stream":"","revision":0},"text":"+5",` +
			`"steps":[{"eventId":"e-1","text":"+5","points":5,"this":true}],"proof":{"sum":5,"computed":5,"before":1,"after":6,"agrees":true,"trouble":["why"]},` +
			`"events":[{"eventId":"e-1","type":"points-adjusted.v1","stream":"account-ann","revision":3,"position":"7","storedAt":"2026-11-23T12:00:00Z","data":{"a":1},"metadata":{}},` +
			`{"eventId":"e-2","type":"","stream":"","revision":0,"storedAt":"2026-11-23T12:00:00Z","data":null,"metadata":null}]}`},
	} {
		if got, err := json.Marshal(c.value); err != nil || string(got) != c.want {
			t.Errorf("%s is\n%s, %v, want\n%s", name, got, err, c.want)
		}
	}
}

func TestStepsAndMatchesAreRowsUnderTheirColumns(t *testing.T) {
	utc := noon.UTC()
	for name, c := range map[string]struct{ columns, row, want []string }{
		"a step":     {view.StepColumns(), view.StepRow(queries.Step{EventID: "e-1", Text: "-5 points", Points: -5, This: true}), []string{"e-1", "-5", "'-5 points", "true"}},
		"a match":    {view.MatchColumns(), view.MatchRow(view.Match{By: ledger.ByOrder, CustomerID: "ann", OrderID: "-o", EntryID: "e-1", OccurredAt: &utc}), []string{"order", "ann", "'-o", "2026-11-23T12:00:00Z", "e-1"}},
		"a customer": {view.MatchColumns(), view.MatchRow(view.Match{By: view.ByProxyName, CustomerID: "-a"}), []string{"proxyName", "'-a", "", "", ""}},
	} {
		if !slices.Equal(c.row, c.want) || len(c.row) != len(c.columns) {
			t.Errorf("%s is %q under %q, want %q", name, c.row, c.columns, c.want)
		}
	}
}
