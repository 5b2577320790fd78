package order

import (
	"fmt"
	"strings"

	"loyalty/domain"
)

// Step explains one change of an order's points.
type Step struct {
	// Text is the calculation: "£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01".
	Text string
	// Points is the change: an award, or negative for a reversal.
	Points domain.Points
	// Left is the order's points after the step, by the events. Computed is what the order's own policy gives for what is left of the
	// payment. If they differ, something is wrong.
	Left, Computed domain.Points
}

// Explain returns a step for each event that changed the order's points, in order. It ignores other events.
func Explain(events []domain.Event) []Step {
	var steps []Step
	var left domain.Points
	for _, event := range events {
		var s Step
		switch e := event.(type) {
		case PointsAwarded:
			s.Points = e.Points
			s.Computed, _ = e.Policy.Points(e.Paid)
			s.Text = fmt.Sprintf("%s → %d, policy of %s", division(e.Paid, e.Policy), e.Points, e.Policy.ID)
		case PointsReversed:
			s.Points = -e.Points
			s.Computed, _ = e.Policy.Points(e.NetAfter)
			returned := domain.Money{Minor: e.NetBefore.Minor - e.NetAfter.Minor, Currency: e.NetBefore.Currency}
			s.Text = fmt.Sprintf("%s returned: net %s → %d, so %d taken back", sum(returned), division(e.NetAfter, e.Policy), s.Computed, e.Points)
		default:
			continue
		}
		left += s.Points
		s.Left = left
		steps = append(steps, s)
	}
	return steps
}

// division is an amount divided by the spend per point, to three decimals: "£129.99 ÷ £10.00 = 12.999".
func division(m domain.Money, p domain.Policy) string {
	spend := domain.Money{Minor: p.SpendPerPoint[m.Currency], Currency: m.Currency}
	if spend.Minor < 1 {
		return sum(m) + ", which the policy does not price"
	}
	whole, rest := m.Minor/spend.Minor, m.Minor%spend.Minor
	// rest < spend ≤ MaxMinor < 10^14, so that rest*1000 does not overflow.
	thousandths, inexact := rest*1000/spend.Minor, rest*1000%spend.Minor != 0
	sign := "="
	if inexact {
		sign = "≈"
	}
	text := fmt.Sprintf("%d.%03d", whole, thousandths)
	if !inexact {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return fmt.Sprintf("%s ÷ %s %s %s", sum(m), sum(spend), sign, text)
}

// sum writes an amount as a receipt does: "£129.99".
func sum(m domain.Money) string {
	switch m.Currency {
	case domain.GBP:
		return "£" + domain.FormatMinor(m.Minor)
	case domain.EUR:
		return "€" + domain.FormatMinor(m.Minor)
	}
	return m.String()
}
