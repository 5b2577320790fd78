package embedded

import "math"

// readBatch is how many events for the client a server puts into one page of a filtered subscription.
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

	live    bool
	counter uint64      // events considered since the last checkpoint
	page    *searchPage // that is being read
	pages   int         // read since the subscription began or fell behind, with the one that is being read

	// at is where the next checkpoint would be, if it is known: at the beginning nothing was sent.
	at    uint64
	known bool
	// sent is the highest checkpoint that was sent, if any was.
	sent    uint64
	hasSent bool
}

type searchPage struct {
	begins               uint64
	considered, matching uint64
}

// begin is the progress of a subscription that begins after a position, or at the start of the log.
func (f *filter) begin(p *profile, from uint64) *progress {
	return &progress{profile: p, window: f.window, interval: f.interval, at: from, known: from > 0}
}

func (g *progress) reach(position uint64) { g.at, g.known = position, true }

// considered records that an event was considered, and sent if it matches. A checkpoint is due if ok.
func (g *progress) considered(position uint64, matches bool) (checkpoint uint64, ok bool) {
	g.counter++
	if matches {
		g.reach(position)
	}
	if g.live {
		if g.counter < g.interval {
			return 0, false
		}
		g.counter = 0
		g.reach(position)
		return g.due()
	}
	if g.page == nil {
		g.page = &searchPage{begins: position}
		g.pages++
	}
	g.page.considered++
	if matches {
		g.page.matching++
	}
	if g.page.considered < g.window && g.page.matching < readBatch {
		return 0, false
	}
	g.endPage()
	if g.counter < g.interval {
		return 0, false
	}
	g.counter %= g.interval
	return g.due()
}

// endPage ends the page that is being read. The first page begins where the client said, which is no news.
func (g *progress) endPage() {
	if g.page != nil && g.pages > 1 && g.at < g.page.begins {
		g.reach(g.page.begins)
	}
	g.page = nil
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
	if !g.known && g.checkpointNowhere {
		g.sent, g.hasSent = nowhere, true
		return nowhere, true
	}
	g.known = true
	return g.due()
}

// fellBehind records that it catches up again.
func (g *progress) fellBehind() (checkpoint uint64, ok bool) {
	g.live, g.counter = false, 0
	return g.due()
}

// due is the checkpoint to be sent. From 24.2 on, none is sent again, and none that is before another.
func (g *progress) due() (checkpoint uint64, ok bool) {
	if g.checkpointAtEnd && (!g.known || g.hasSent && g.at <= g.sent) {
		return 0, false
	}
	g.sent, g.hasSent = g.at, true
	return g.at, true
}
