package api_test

import (
	"strings"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

type approval struct {
	CustomerID, LoyaltyID, Reason, RequestedBy string
	Points                                     int64
	OccurredAt                                 time.Time
	Position                                   domain.Position
}

type approvals struct {
	Approvals []approval
	Next      string
	Position  domain.Position
	AsOf      *time.Time
}

type act struct {
	EventID, Kind, CustomerID, LoyaltyID, Reason, Route, Actor, CorrelationID string
	Points                                                                    int64
	OccurredAt                                                                time.Time
	Position                                                                  domain.Position
	Decided                                                                   *bool
}

type acts struct {
	Acts     []act
	Next     string
	Position domain.Position
	AsOf     *time.Time
}

func (s *stack) waiting(t *testing.T) {
	first := get[approvals](t, s, support, "/approvals?limit=1")
	if len(first.Approvals) != 1 || first.Next == "" {
		t.Fatalf("the first page is %+v", first)
	}
	second := get[approvals](t, s, support, "/approvals?limit=1&cursor="+first.Next)
	listed := append(first.Approvals, second.Approvals...)
	if len(listed) != 2 || second.Next != "" {
		t.Fatalf("the second page is %+v", second)
	}
	for i, got := range listed {
		want := []approval{
			{CustomerID: "ann", LoyaltyID: "staff.big-2", Reason: "lost parcel", RequestedBy: "staff-3", Points: 3000},
			{CustomerID: "ann", LoyaltyID: "staff.big-1", Reason: "lost parcel", RequestedBy: "staff-3", Points: 2000},
		}[i]
		if got.Position == (domain.Position{}) || got.OccurredAt.IsZero() {
			t.Errorf("it does not say when: %+v", got)
		}
		if got.Position, got.OccurredAt = want.Position, want.OccurredAt; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	decide := exchange{as: revealer, method: "POST", path: "/loyalty/ann/adjustments/staff.big-2/approval", status: 201}
	s.do(t, decide)
	decide.path, decide.body = "/loyalty/ann/adjustments/staff.big-1/refusal", `{"reason": "no receipt"}`
	s.do(t, decide)
	if left := get[approvals](t, s, support, "/approvals"); len(left.Approvals) != 0 {
		t.Errorf("what is decided waits: %+v", left)
	}
}

func (s *stack) audited(t *testing.T) {
	all := get[acts](t, s, auditor, "/acts")
	list := func(page acts) string {
		var said []string
		for _, a := range page.Acts {
			said = append(said, strings.TrimRight(a.Kind+" "+a.CustomerID+" "+a.LoyaltyID, " "))
		}
		return strings.Join(said, ", ")
	}
	want := "declined ann staff.big-1, approved ann staff.big-2, revealed ann, forgotten gus, requested ann staff.big-2, requested ann staff.big-1"
	if list(all) != want || all.Next != "" || all.Position != s.end() || all.AsOf == nil {
		t.Errorf("the acts are %s of %+v, want %s", list(all), all, want)
	}
	if a := all.Acts[2]; a.Actor != revealer.Subject || a.Reason != "a complaint" || a.CorrelationID != "request-reveal" || a.EventID == "" || a.Decided != nil {
		t.Errorf("the reveal is %+v", a)
	}
	if a := all.Acts[4]; a.Points != 3000 || a.Decided == nil || !*a.Decided || a.CorrelationID != "request-big-2" {
		t.Errorf("the request is %+v", a)
	}
	moment := all.Acts[2].OccurredAt.Format(time.RFC3339Nano)
	for query, want := range map[string]string{
		"kind=revealed":                  "revealed ann",
		"kind=approved&kind=declined":    "declined ann staff.big-1, approved ann staff.big-2",
		"customer=gus":                   "forgotten gus",
		"actor=staff-3":                  "requested ann staff.big-2, requested ann staff.big-1",
		"actor=staff-3&customer=gus":     "",
		"from=" + moment:                 "declined ann staff.big-1, approved ann staff.big-2, revealed ann",
		"kind=requested&until=" + moment: "requested ann staff.big-2, requested ann staff.big-1",
		"until=2020-01-01":               "",
	} {
		if got := list(get[acts](t, s, auditor, "/acts?"+query)); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	var walked []string
	for next := ""; ; {
		page := get[acts](t, s, auditor, "/acts?limit=2&cursor="+next)
		walked = append(walked, list(page))
		if next = page.Next; next == "" {
			break
		}
	}
	if got := strings.Join(walked, ", "); got != want || len(walked) != 3 {
		t.Errorf("%d pages are %s", len(walked), got)
	}
}

func invalidLists() []exchange {
	at := func(as auth.Claims, path string) exchange { return exchange{as: as, method: "GET", path: path} }
	all := []exchange{
		bad(at(auditor, "/acts?kind=revealed&kind=award"), "a kind that is none", "", "kind_unknown", "kind"),
		bad(at(auditor, "/acts?customer=a.b"), "customer outside the alphabet", "", "id_malformed", "customer"),
		bad(at(auditor, "/acts?actor="+long), "actor too long", "", "id_too_long", "actor"),
		bad(at(auditor, "/acts?from=yesterday"), "a time that is none", "", "time_malformed", "from"),
	}
	for path, as := range map[string]auth.Claims{"/acts": auditor, "/approvals": support} {
		all = append(all, waitingWrongly(at(as, path)), doublyWrong(at(as, path+"?limit=0")),
			bad(at(as, path+"?limit=201"), "a page too long", "", "limit_out_of_range", "limit"),
			bad(at(as, path+"?cursor=broken"), "a cursor that is none", "", "cursor_invalid", "cursor"),
			bad(at(as, path+"?cursor=%zz"), "a malformed query", "", "query_malformed", "query"))
	}
	return all
}

// Given members of staff whom an identity provider names as it does
// When they give points, beyond what one may give alone, and the other approves
// Then it is recorded and found under their names, and neither approves their own.
func TestStaffActUnderTheNamesThatAProviderGivesThem(t *testing.T) {
	s := startStack(t, loadDocument(t))
	one, two := named(support, "auth0|65f1c0ffee"), named(support, "mary.f:o@shop")
	one.Rights, two.Rights = "audit", "audit"
	gift := exchange{as: one, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 5, "reason": "goodwill"}`, status: 201}
	s.do(t, gift)
	gift.body, gift.status = `{"loyalty-points": 5000, "reason": "a large one"}`, 202
	id := decode[adjusted](t, s.do(t, gift)).LoyaltyID
	approve := exchange{as: one, method: "POST", path: "/loyalty/ann/adjustments/" + id + "/approval", status: 403, code: "own_request"}
	s.do(t, approve)
	approve.as, approve.status, approve.code = two, 201, ""
	s.do(t, approve)
	got := get[acts](t, s, two, "/acts?actor=mary.f:o%40shop")
	if len(got.Acts) != 1 || got.Acts[0].Kind != "approved" || got.Acts[0].Actor != two.Subject {
		t.Errorf("their acts are %+v", got.Acts)
	}
}
