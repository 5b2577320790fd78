package view

import (
	"strconv"

	"loyalty/queries"
)

// Explanation is an explanation of an entry, in JSON.
type Explanation struct {
	Entry  Entry           `json:"entry"`
	Text   string          `json:"text"`
	Steps  []queries.Step  `json:"steps"`
	Proof  queries.Proof   `json:"proof"`
	Events []queries.Event `json:"events"`
}

// ExplanationOf converts an explanation. Its lists are never null in JSON.
func ExplanationOf(x queries.Explanation) Explanation {
	x.Proof.Mismatches = append([]string{}, x.Proof.Mismatches...)
	return Explanation{
		Entry: EntryOf(x.Entry), Text: x.Text, Steps: append([]queries.Step{}, x.Steps...), Proof: x.Proof,
		Events: append([]queries.Event{}, x.Events...),
	}
}

// StepColumns are the columns of an explanation's steps in CSV.
func StepColumns() []string { return []string{"eventId", "points", "text", "this"} }

// StepRow is a step as a row under StepColumns.
func StepRow(s queries.Step) []string {
	return []string{s.EventID, strconv.FormatInt(int64(s.Points), 10), cell(s.Text), strconv.FormatBool(s.This)}
}
