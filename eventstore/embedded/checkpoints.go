package embedded

import "math"

// readBatch is how many events of a filtered subscription EventStoreDB reads at a time.
const readBatch = 32

// nowhere is the position of a checkpoint that says nothing.
const nowhere = math.MaxUint64

// progress is how far a filtered subscription to $all has considered the log, as a server says it in checkpoints. While it catches up, a server
// reads pages of the log: each ends after 32 events for the client, or when as many were considered as the search window allows. It makes
// checkpoints at the ends of pages only, and then at the page's beginning or at its last event for the client. Afterwards there is one for
// every interval of events.
type progress struct {
	*profile
	window, interval uint64

	at      uint64 // the last event that was sent, or the last place for a checkpoint
	somehow bool   // there is such a place: something was sent, or the client gave a position
	counter uint64 // events considered since the last checkpoint
	sent    uint64 // the highest checkpoint that was sent
	sentAny bool

	live             bool
	begun            bool   // a page is being read
	first            uint64 // position of its first event, if it is not the first page
	hasFirst         bool
	looked, matching uint64 // events of the page
	pages            int
}

// begin is the progress of a subscription that begins after a position, or at the start of the log.
func (f *filter) begin(p *profile, from uint64) *progress {
	return &progress{profile: p, window: f.window, interval: f.interval, at: from, somehow: from > 0}
}

// considered records that an event was considered, and sent if it matches. A checkpoint is due if ok.
func (g *progress) considered(position uint64, matches bool) (checkpoint uint64, ok bool) {
	g.counter++
	if matches {
		g.at, g.somehow = position, true
	}
	if g.live {
		if g.counter < g.interval {
			return 0, false
		}
		g.counter, g.at, g.somehow = 0, position, true
		return g.due()
	}
	if !g.begun {
		g.begun, g.looked, g.matching = true, 0, 0
		g.first, g.hasFirst = position, g.pages > 0
		g.pages++
	}
	g.looked++
	if matches {
		g.matching++
	}
	if g.looked < g.window && g.matching < readBatch {
		return 0, false
	}
	g.endPage()
	if g.counter < g.interval {
		return 0, false
	}
	g.counter %= g.interval
	return g.due()
}

func (g *progress) endPage() {
	if g.begun && g.hasFirst && g.at < g.first {
		g.at, g.somehow = g.first, true
	}
	g.begun = false
}

// reachedEnd records that the subscription goes live.
func (g *progress) reachedEnd() (checkpoint uint64, ok bool) {
	read := g.pages > 0
	g.endPage()
	g.live, g.pages = true, 0
	if !g.checkpointAtEnd || !read {
		return 0, false
	}
	g.counter = 0
	if !g.somehow && g.checkpointNowhere {
		g.sent, g.sentAny = nowhere, true
		return nowhere, true
	}
	g.somehow = true
	return g.due()
}

// fellBehind records that it catches up again.
func (g *progress) fellBehind() (checkpoint uint64, ok bool) {
	g.live, g.counter = false, 0
	return g.due()
}

// due is the checkpoint to be sent. From 24.2 on, none is sent again, and none that is before another.
func (g *progress) due() (checkpoint uint64, ok bool) {
	if g.checkpointAtEnd && (!g.somehow || g.sentAny && g.at <= g.sent) {
		return 0, false
	}
	g.sent, g.sentAny = g.at, true
	return g.at, true
}
