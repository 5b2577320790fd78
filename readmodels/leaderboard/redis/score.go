package redis

import (
	"fmt"
	"strconv"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// minutes is the number of distinct minutes in a score.
const minutes = leaderboard.MaxMinute + 1

// score holds points, clamped to 2²⁷ − 1 either way, and minute in one number, the lower the better: −points·2²⁶ + minute. Its absolute value
// is below 2⁵³, so that the double that Redis stores is exact.
func score(points domain.Points, minute int64) int64 {
	return -int64(points.Ranked())*minutes + clampMinute(minute)
}

func clampMinute(minute int64) int64 { return min(max(minute, 0), leaderboard.MaxMinute) }

// clamped reports whether points decoded from a score may be those of a customer beyond the clamp.
func clamped(points domain.Points) bool {
	return points == domain.MaxRanked || points == -domain.MaxRanked
}

// parseTotal reads the true total of a customer beyond the clamp.
func parseTotal(text string) (domain.Points, error) {
	total, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q in Redis is no total", domain.ErrUnavailable, text)
	}
	return domain.Points(total), nil
}

// decodeScore is the inverse of score.
func decodeScore(score int64) (points domain.Points, minute int64) {
	return -domain.Points(score >> 26), score & (minutes - 1)
}

// parseScore reads a score as Redis writes it: 2147483648, or 2.147483648e+9.
func parseScore(text string) (int64, error) {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil && -1<<53 < whole && whole < 1<<53 {
		return whole, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	whole := int64(number)
	if err != nil || float64(whole) != number || whole >= 1<<53 || whole <= -1<<53 {
		return 0, fmt.Errorf("%w: %q in Redis is no score", domain.ErrUnavailable, text)
	}
	return whole, nil
}

// formatTime writes a time as Redis stores it: microseconds since 1970, which a script's numbers hold exactly; empty for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %q in Redis is no time", domain.ErrUnavailable, text)
	}
	return time.UnixMicro(micros).UTC(), nil
}
