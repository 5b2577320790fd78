package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// snapshot is the answer of a script: the state and what else was asked for.
type snapshot struct {
	state     leaderboard.State
	origin    string // of the checkpoint; in the answers for writers only
	customers int64
	rest      []any
	// top is the top list, in an answer with dashboards.
	top []leaderboard.Row
}

// read runs a read-only script.
func (b *Board) read(ctx context.Context, what string, s script, args ...any) (snapshot, error) {
	answer, err := b.call(ctx, what, s, args...)
	if err != nil {
		return snapshot{}, err
	}
	return newSnapshot(answer)
}

func newSnapshot(answer []any) (s snapshot, err error) {
	if len(answer) < 4 {
		return s, fmt.Errorf("%w: a snapshot of %d parts", domain.ErrUnavailable, len(answer))
	}
	var texts [3]string
	for i := range texts {
		texts[i], _ = answer[i].(string)
	}
	position, positionErr := domain.ParsePosition("position", texts[0])
	asOf, timeErr := parseTime(texts[1])
	customers, countErr := strconv.ParseInt(texts[2], 10, 64)
	if err := errors.Join(positionErr, timeErr, countErr); err != nil {
		return s, fmt.Errorf("%w: the state in Redis is malformed: %v", domain.ErrUnavailable, err)
	}
	return snapshot{state: leaderboard.State{Position: position, AsOf: asOf}, customers: customers, rest: answer[3:]}, nil
}

// dashboard parses the i-th dashboard of a snapshot.
func (s *snapshot) dashboard(i int, key domain.ProxyKey, top int, d *leaderboard.Dashboard) error {
	d.Ranked, d.You, d.Around, d.Top = false, leaderboard.Row{}, d.Around[:0], d.Top[:0]
	d.Customers, d.State = s.customers, s.state
	d.Top = append(d.Top, s.top[:min(top, len(s.top))]...)
	place, _ := s.rest[1+i].(string)
	if place == "" {
		return nil
	}
	before, place, _ := strings.Cut(place, " ")
	own, place, _ := strings.Cut(place, " ")
	first, firstErr := strconv.ParseInt(before, 10, 64)
	rank, rankErr := strconv.ParseInt(own, 10, 64)
	var rowsErr error
	d.Around, rowsErr = appendRows(d.Around, place, first, len(place))
	if err := errors.Join(firstErr, rankErr, rowsErr); err != nil {
		return err
	}
	if rank -= first; rank < 0 || rank >= int64(len(d.Around)) || d.Around[rank].Key != key {
		return fmt.Errorf("%w: Redis answers with somebody else's place", domain.ErrUnavailable)
	}
	d.Ranked, d.You = true, d.Around[rank]
	return nil
}

// appendRows parses up to n rows, keys and scores separated by spaces, or = and the true total in place of a score; before is the number of customers before the first.
func appendRows(rows []leaderboard.Row, text string, before int64, n int) ([]leaderboard.Row, error) {
	const keySize = len(domain.ProxyKey{})
	for ; n > 0 && text != ""; n-- {
		if len(text) < keySize+1 {
			return rows, fmt.Errorf("%w: a row of %d bytes", domain.ErrUnavailable, len(text))
		}
		before++
		row := leaderboard.Row{Rank: before, Key: domain.ProxyKey([]byte(text[:keySize]))}
		var number string
		number, text, _ = strings.Cut(text[keySize+1:], " ")
		if total, beyond := strings.CutPrefix(number, "="); beyond {
			var err error
			if row.Points, err = parseTotal(total); err != nil {
				return rows, err
			}
		} else {
			score, err := parseScore(number)
			if err != nil {
				return rows, err
			}
			row.Points, _ = decodeScore(score)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Standing reads a customer's total; see leaderboard.Reader.
func (b *Board) Standing(ctx context.Context, key domain.ProxyKey) (leaderboard.Standing, bool, domain.Position, error) {
	s, err := b.Standings(ctx, []domain.ProxyKey{key})
	if err != nil {
		return leaderboard.Standing{}, false, s.Position, err
	}
	return s.Standings[0], s.Found[0], s.Position, nil
}

// Standings reads the totals of many customers; see leaderboard.StandingsReader.
func (b *Board) Standings(ctx context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	if err := leaderboard.CheckKeys(keys); err != nil {
		return leaderboard.Standings{}, err
	}
	args := make([]any, len(keys))
	for i := range keys {
		args[i] = keys[i][:]
	}
	answer, err := b.read(ctx, "read standings", standingsScript, args...)
	if err != nil {
		return leaderboard.Standings{}, err
	}
	scores, _ := answer.rest[0].([]any)
	var retired, totals []any // each is empty if there are none
	if len(answer.rest) > 3 {
		retired, _ = answer.rest[1].([]any)
		totals, _ = answer.rest[3].([]any)
	}
	fits := func(list []any) bool { return len(list) == len(keys) || len(list) == 0 }
	if len(scores) != len(keys) || !fits(retired) || !fits(totals) {
		return leaderboard.Standings{}, fmt.Errorf("%w: %d scores for %d customers", domain.ErrUnavailable, len(scores), len(keys))
	}
	s := leaderboard.Standings{
		Standings: make([]leaderboard.Standing, len(keys)), Found: make([]bool, len(keys)),
		Customers: answer.customers, State: answer.state,
	}
	for i := range keys {
		text, found := scores[i].(string)
		if !found {
			if len(retired) > 0 && retired[i] == int64(1) {
				s.Standings[i] = leaderboard.Standing{Key: keys[i], Retired: true}
			}
			continue
		}
		score, err := parseScore(text)
		if err != nil {
			return leaderboard.Standings{}, err
		}
		s.Found[i], s.Standings[i].Key = true, keys[i]
		s.Standings[i].Points, s.Standings[i].Minute = decodeScore(score)
		if len(totals) == 0 || !clamped(s.Standings[i].Points) {
			continue
		}
		if total, beyond := totals[i].(string); beyond {
			if s.Standings[i].Points, err = parseTotal(total); err != nil {
				return leaderboard.Standings{}, err
			}
		}
	}
	return s, nil
}
