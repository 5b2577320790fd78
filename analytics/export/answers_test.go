package export_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"loyalty/analytics/export"
)

func whole(l line, column string) int64 {
	n, known := l[column].(json.Number)
	if !known {
		return 0
	}
	value, err := n.Int64()
	if err != nil {
		panic(err) // the column has whole numbers
	}
	return value
}

func text(l line, column string) string {
	text, _ := l[column].(string)
	return text
}

func moment(l line, column string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text(l, column))
	if err != nil {
		panic(err) // the column has times
	}
	return at
}

// grouped adds up rows by a key, column by column, in the order of the keys.
func grouped(rows []line, of string, key func(line) []string, values ...func(line) int64) [][]string {
	type group struct {
		key  []string
		sums []int64
	}
	groups := map[string]*group{}
	for _, l := range rows {
		if text(l, export.Type) != of && of != "" {
			continue
		}
		k := key(l)
		g := groups[fmt.Sprint(k)]
		if g == nil {
			g = &group{key: k, sums: make([]int64, len(values))}
			groups[fmt.Sprint(k)] = g
		}
		for i, value := range values {
			g.sums[i] += value(l)
		}
	}
	var out [][]string
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		row := slices.Clone(groups[name].key)
		for _, sum := range groups[name].sums {
			row = append(row, fmt.Sprint(sum))
		}
		out = append(out, row)
	}
	return out
}

func by(columns ...string) func(line) []string {
	return func(l line) []string {
		var key []string
		for _, column := range columns {
			key = append(key, text(l, column))
		}
		return key
	}
}

func one(line) int64 { return 1 }

func valueOf(column string) func(line) int64 { return func(l line) int64 { return whole(l, column) } }

func totals(rows []line, counts func(line) bool) map[string]int64 {
	totals := map[string]int64{}
	for _, l := range rows {
		if _, changes := l[export.Points]; changes && counts(l) {
			totals[text(l, export.CustomerID)] += whole(l, export.Points)
		}
	}
	return totals
}

// answers are the rows that answer each question.
var answers = []func([]line) [][]string{
	func(rows []line) [][]string {
		return grouped(rows, "points-awarded.v1", func(l line) []string {
			return []string{moment(l, export.OccurredAt).Format("2006-01"), text(l, export.Channel)}
		}, one, valueOf(export.Points))
	},
	func(rows []line) [][]string {
		var sum, most, debts int64
		all := totals(rows, func(line) bool { return true })
		for _, points := range all {
			sum += points
			most = max(most, points)
			if points < 0 {
				debts++
			}
		}
		return [][]string{{fmt.Sprint(len(all)), fmt.Sprint(sum), fmt.Sprint(most), fmt.Sprint(debts)}}
	},
	func(rows []line) [][]string {
		all := totals(rows, func(l line) bool { return text(l, export.StoredAt) < "2026-11-01" })
		names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b)) })
		var out [][]string
		for _, name := range names[:5] {
			out = append(out, []string{name, fmt.Sprint(all[name])})
		}
		return out
	},
	func(rows []line) [][]string {
		var out [][]string
		var total int64
		for _, l := range rows {
			if _, changes := l[export.Points]; changes && text(l, export.CustomerID) == "c-04" && len(out) < 8 {
				total += whole(l, export.Points)
				out = append(out, []string{moment(l, export.OccurredAt).Format("02 Jan 15:04"), text(l, export.Type),
					cmp.Or(text(l, export.OrderID), text(l, export.LoyaltyID)), fmt.Sprint(whole(l, export.Points)), fmt.Sprint(total)})
			}
		}
		return out
	},
	func(rows []line) [][]string {
		pounds := slices.DeleteFunc(slices.Clone(rows), func(l line) bool { return text(l, export.Currency) != "GBP" })
		of := func(name, column string, sign int64) func(line) int64 {
			return func(l line) int64 {
				if text(l, export.Type) != name {
					return 0
				}
				return sign * whole(l, column)
			}
		}
		out := grouped(pounds, "", by(export.Channel), of("order-placed.v1", export.Amount, 1), of("items-returned.v1", export.Amount, 1), of("points-reversed.v1", export.Points, -1))
		for i, row := range out {
			var paid, refunded float64
			if _, err := fmt.Sscan(row[1]+" "+row[2], &paid, &refunded); err != nil {
				panic(err) // they were numbers a moment ago
			}
			out[i] = slices.Insert(row, 3, strings.TrimSuffix(fmt.Sprintf("%.1f", 100*refunded/paid), ".0"))
		}
		return out
	},
	func(rows []line) [][]string {
		return grouped(rows, "points-awarded.v1", by(export.Policy, export.Currency), one, valueOf(export.Points), func(l line) int64 {
			return whole(l, export.Points)*whole(l, export.SpendPerPoint) - whole(l, export.Amount)
		})
	},
	func(rows []line) [][]string {
		return grouped(rows, "points-awarded.v1", by(export.Currency), valueOf(export.Points), func(l line) int64 {
			spend := map[string]int64{"GBP": 500, "EUR": 575}[text(l, export.Currency)]
			return (2*whole(l, export.Amount) + spend) / (2 * spend)
		})
	},
	func(rows []line) [][]string {
		times := map[string][]time.Time{}
		for _, l := range rows {
			if text(l, export.Type) == "order-placed.v1" {
				times[text(l, export.CustomerID)] = append(times[text(l, export.CustomerID)], moment(l, export.OccurredAt))
			}
		}
		fresh, back := map[string]int{}, map[string]int{}
		for _, at := range times {
			slices.SortFunc(at, time.Time.Compare)
			fresh[at[0].Format("2006-01")]++
			if len(at) > 1 && at[1].Sub(at[0]) < 30*24*time.Hour {
				back[at[0].Format("2006-01")]++
			}
		}
		var out [][]string
		for _, month := range slices.Sorted(maps.Keys(fresh)) {
			out = append(out, []string{month, fmt.Sprint(fresh[month]), fmt.Sprint(back[month])})
		}
		return out
	},
	func(rows []line) [][]string {
		approved := map[string]string{}
		for _, l := range rows {
			if text(l, export.Type) == "points-adjustment-approved.v1" {
				approved[text(l, export.LoyaltyID)] = text(l, export.Actor)
			}
		}
		by2 := map[string]string{}
		out := grouped(rows, "points-adjusted.v1", by(export.Actor), one, valueOf(export.Points), func(l line) int64 {
			if who := approved[text(l, export.LoyaltyID)]; who != "" {
				by2[text(l, export.Actor)] = who
				return 1
			}
			return 0
		})
		for i := range out {
			out[i] = append(out[i], by2[out[i][0]])
		}
		return out
	},
	func(rows []line) [][]string {
		took := map[string][]time.Duration{}
		for _, l := range rows {
			if text(l, export.Type) == "order-placed.v1" {
				took[text(l, export.Channel)] = append(took[text(l, export.Channel)], moment(l, export.StoredAt).Sub(moment(l, export.OccurredAt)))
			}
		}
		var out [][]string
		for _, channel := range slices.Sorted(maps.Keys(took)) {
			all, late := took[channel], 0
			slices.Sort(all)
			for _, d := range all {
				if d > time.Minute {
					late++
				}
			}
			out = append(out, []string{channel, fmt.Sprint(all[(len(all)-1)/2].Milliseconds()), fmt.Sprint(late), fmt.Sprint(int(all[len(all)-1].Minutes()))})
		}
		return out
	},
}
