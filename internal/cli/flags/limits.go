package flags

import (
	"errors"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

// Limits are the flags that bound what callers may ask of a process.
type Limits struct {
	MaxWrites           int                `help:"Writes carried out at once, half of them for one client at most. As many more wait; what comes then is refused with 503 or 429, and Retry-After." default:"512" env:"LOYALTY_MAX_WRITES" placeholder:"N"`
	MaxBatches          int                `help:"Batches (POST /orders) taken at once; what comes then is refused with 503 and Retry-After." default:"32" env:"LOYALTY_MAX_BATCHES" placeholder:"N"`
	MaxBatchesPerClient int                `help:"Batches of one client taken at once; what comes then is refused with 429 and Retry-After." default:"4" env:"LOYALTY_MAX_BATCHES_PER_CLIENT" placeholder:"N"`
	RateLimit           map[string]float64 `help:"Writes a second that one client may make, by kind of client (customer, support, analyst, website, mobile, store): \"customer=2;store=0\". A client is the subject of a token. 0 is no limit; what is not named has its default: customer 2, support 10, analyst 2, store 50, website and mobile none." env:"LOYALTY_RATE_LIMIT" placeholder:"KIND=N;…"`
	ReadRateLimit       map[string]float64 `help:"The same for dashboards, trails and all other reads. Defaults: customer 20, support 50, analyst 20, the others none." env:"LOYALTY_READ_RATE_LIMIT" placeholder:"KIND=N;…"`

	SignInRate float64 `help:"People a second who may come back from the identity provider, each of whom makes a process ask it; half as many from one address, which behind a proxy is that of all. What comes then is told to try again." default:"20" env:"LOYALTY_SIGN_IN_RATE" placeholder:"N"`

	MaxHistory       int `help:"Questions about the past (asOf, changes) worked on at once for support, and again for analysts, one for each person; each looks at every customer. Eight times as many wait." default:"2" env:"LOYALTY_MAX_HISTORY" placeholder:"N"`
	MaxLive          int `help:"Live dashboards open at once (GET …/live); what comes then is refused with 503." default:"20000" env:"LOYALTY_MAX_LIVE" placeholder:"N"`
	MaxLivePerClient int `help:"Live dashboards of one client open at once; what comes then is refused with 429, and the page reads its dashboard every half a minute." default:"10" env:"LOYALTY_MAX_LIVE_PER_CLIENT" placeholder:"N"`

	MaxOrderPoints      domain.Points `help:"Most points that one order may earn, 1 to 131071. More is refused with 422." default:"10000" env:"LOYALTY_MAX_ORDER_POINTS" placeholder:"N"`
	MaxAdjustmentPoints domain.Points `help:"Most points that one adjustment may give or take, whoever approves it, 1 to 131071. More is refused with 422." default:"10000" env:"LOYALTY_MAX_ADJUSTMENT_POINTS" placeholder:"N"`

	AdjustmentLimit    map[auth.Role]domain.Points `help:"Most points that one may give or take alone, by role (support, channel): \"support=500;channel=100\". More waits until somebody else of support approves it. 0 is no limit. What is not named has its default: support 500, channel none." env:"LOYALTY_ADJUSTMENT_LIMIT" placeholder:"ROLE=N;…"`
	AdjustmentDayLimit map[auth.Role]domain.Points `help:"The same for all that one person of support gives or takes alone on a day in UTC, in all processes together: \"support=2000\", which is the default. Channels have none." env:"LOYALTY_ADJUSTMENT_DAY_LIMIT" placeholder:"support=N"`
}

// LiftRates lets every client make any number of requests.
func (f *Limits) LiftRates() { f.RateLimit, f.ReadRateLimit = admission.NoRates(), admission.NoRates() }

// Check returns the limits that the flags stand for, or a usage error.
func (f Limits) Check() (admission.Limits, error) {
	l := admission.Limits{Writes: f.MaxWrites, Batches: f.MaxBatches, BatchesOfSubject: f.MaxBatchesPerClient, History: f.MaxHistory, LiveStreams: f.MaxLive, LiveStreamsOfSubject: f.MaxLivePerClient, WriteRates: f.RateLimit, ReadRates: f.ReadRateLimit, SignIns: f.SignInRate, Adjustments: f.AdjustmentLimit, AdjustmentsOfDay: f.AdjustmentDayLimit}
	if err := errors.Join(
		commands.CheckPointsLimit("--max-order-points (LOYALTY_MAX_ORDER_POINTS)", f.MaxOrderPoints),
		commands.CheckPointsLimit("--max-adjustment-points (LOYALTY_MAX_ADJUSTMENT_POINTS)", f.MaxAdjustmentPoints),
		l.Check(),
	); err != nil {
		return l, Usage(err)
	}
	return l, nil
}
