// Package embedded is an event store in this process: a folder on disk, served over the EventStoreDB protocol, which the official client
// uses like a cluster.
//
// # In a test
//
// Package embeddedtest opens a store for a test and connects the client, in one line. Without it, a test opens a Server on a
// folder of its own (t.TempDir), connects to "esdb://" + Server.Addr() + "?tls=false" or to the socket that SocketTarget names, and
// closes the client before the Server; the package's example does so. The package imports the standard library, Pebble, gRPC, regexp2 and the
// client's messages, and nothing else of this module.
//
// # Files
//
// The folder holds `lock` (held by the one process that serves the folder), `eventstore.sock` (the Unix socket, mode 0600) and `data`, which
// holds `acknowledged` (the position of the last acknowledged event) and a Pebble database with four kinds of keys:
//
//	e <position>                  one event: checksum, then the RecordedEvent message in its wire format
//	f                             the version of this layout
//	h <stream>                    the stream's last revision and that event's position, and the place of its first append
//	s <stream> <revision>         the position of that event, for events after the first append
//
// Because events are stored in their wire format, a read is a checksum and a copy. Positions and revisions are big endian, so that key
// order is log order.
//
// # Positions
//
// The position of the n-th event ever written is n: strictly increasing from 1, without gaps, commit equal to prepare. So the number of
// events between two positions is their difference, and a gap in the log is damage, found when it is read.
//
// # Writing
//
// One goroutine writes. It takes all waiting appends, decides them one after the other (each sees the effect of those before it), puts
// them into one batch, has it synced, and only then answers them. An append is in one batch, so it is atomic.
//
// # When nothing can be written
//
// Appends stop while the disk still has a reserve (64 MiB, or an eighth of a small disk), because compactions of what was appended need
// space. They fail as unavailable and are not written. If a write fails all the same (no space, no permission, a limit), it blocks and is
// retried; an append in the middle of it gets the answer that it may be written or not, and the client finds out by repeating it with the
// same ids and an explicit revision. Reads go on, and appends do as soon as there is space, without a restart. Only a failing sync is not
// retried: the system may have dropped the data it couldn't write. Appends then fail until the store is opened again and reads what is
// really there.
//
// # After a crash
//
// Everything acknowledged was synced before. An unacknowledged append may be there or not, but never in part. Every block on disk has a
// checksum, and a damaged block is reported when it is read; in the write-ahead log and in the list of table files, when the store is
// opened. At the very end of the log, damage looks like a write that was interrupted by a crash, hence the file `acknowledged`: a log that
// ends before it is reported. That file is written before an append is answered, but not synced. So after a crash of the process, a loss
// of acknowledged events is always noticed. After a failure of the machine, damage in the last records of the log may go unnoticed if they
// are younger than the system's last write-back (some 30 s). A store that is reported damaged when it is opened keeps all its files.
//
// # Reading
//
// Readers see only synced events: an event that could be lost in a crash is never shown. They read in pages, with a new iterator for each,
// so that a client that stops reading holds one page and nothing else. A subscription is the same reader, which waits at the end of the
// log: it has no queue that could overflow.
package embedded
