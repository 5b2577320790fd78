package api

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// maxSearch is the most characters of what is searched for: an id has no more, a proxy name fewer.
const maxSearch = domain.MaxIDLength

type searchAnswer struct {
	Matches []matchAnswer `json:"matches"`
	More    bool          `json:"more"`
	// ProxyName is there where that is what was searched for.
	ProxyName *namedAnswer    `json:"proxyName,omitempty"`
	Position  domain.Position `json:"position"`
	AsOf      *time.Time      `json:"asOf"`
}

type matchAnswer struct {
	By         ledger.By         `json:"by"`
	CustomerID domain.CustomerID `json:"customerId"`
	OrderID    domain.OrderID    `json:"orderId,omitempty"`
	EntryID    string            `json:"entryId,omitempty"`
	OccurredAt *time.Time        `json:"occurredAt,omitempty"`
}

// namedAnswer says how many have a name and where to ask who: a search appends nothing, and so reveals nothing.
type namedAnswer struct {
	Name      string `json:"name"`
	Customers int    `json:"customers"`
	Reveal    string `json:"reveal"`
}

func (s *Server) search(ctx context.Context, c echo.Context, _ Claims) error {
	values, badQuery := query(c)
	wanted, badWanted := searchedFor(values.Get("q"))
	if badQuery != nil {
		badWanted = nil
	}
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badQuery, badWanted, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return err
	}
	found, err := s.config.Finder.Search(ctx, wanted)
	if err != nil {
		return err
	}
	answer := searchAnswer{
		Matches: make([]matchAnswer, len(found.Matches)), More: found.More, Position: found.Position, AsOf: known(found.AsOf),
	}
	for i, m := range found.Matches {
		answer.Matches[i] = matchAnswer{By: m.By, CustomerID: m.Customer, OrderID: m.Order, EntryID: m.EventID, OccurredAt: known(m.OccurredAt)}
	}
	if name, ok := proxyName(wanted); ok {
		customers, err := ledger.Named(ctx, s.config.Finder, s.config.Proxies, name)
		if err != nil {
			return err
		}
		answer.ProxyName = &namedAnswer{Name: name, Customers: len(customers), Reveal: "/reveals"}
	}
	return c.JSON(http.StatusOK, answer)
}

// searchedFor is the text to search for, without the space around it.
func searchedFor(text string) (string, error) {
	switch wanted := strings.TrimSpace(text); {
	case wanted == "":
		return "", domain.Invalid("q", "q_missing", "say what to search for: an id of a customer, order, return or adjustment, or a proxy name")
	case utf8.RuneCountInString(text) > maxSearch:
		return "", domain.Invalid("q", "q_too_long", "what is searched for has at most 64 characters")
	default:
		return wanted, nil
	}
}

// proxyName tidies a text that has the form of a proxy name, in whatever case and spacing: two words and six digits. It is false
// for any other text. Whether somebody has the name is another question.
func proxyName(text string) (string, bool) {
	parts := strings.Fields(text)
	if len(parts) != 3 || len(parts[2]) != 6 || strings.Trim(parts[2], "0123456789") != "" {
		return "", false
	}
	for i, word := range parts[:2] {
		if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
			return "", false
		}
		parts[i] = strings.ToUpper(word[:1]) + strings.ToLower(word[1:])
	}
	return strings.Join(parts, " "), true
}
