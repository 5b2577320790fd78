// Package embedded is an event store in this process: a folder on disk, served over the EventStoreDB protocol, so that the
// official client talks to it exactly as it talks to a cluster.
//
// # What lies on disk
//
// The folder holds `lock` (held by the one process that serves the folder), `eventstore.sock` (the socket it is reached
// through, mode 0600) and `data`, a Pebble database with four kinds of keys:
//
//	e <position>                  one event: checksum, then the RecordedEvent message as it goes over the wire
//	f                             the version of this layout
//	h <stream>                    the stream's last revision and that event's position, and where its first append lies
//	s <stream> <revision>         the position of that event, for events after the first append
//
// Keeping the wire message means that reading history is a checksum and a copy. Positions and revisions are big-endian, so
// that key order is log order.
//
// # Positions
//
// The position of the n-th event ever written is n: strictly increasing from 1, without holes, commit equal to prepare. So
// the number of events between two positions is their difference, and a hole in the log is damage, found when it is read.
//
// # Writing
//
// One goroutine writes. It takes every append that is waiting, decides them one after the other (each seeing the effect of
// those before it), puts them into one batch, has it fsynced, and only then answers them all. An append lies in one batch,
// so it is there whole or not at all.
//
// # Reading
//
// Readers see only what has been fsynced: an event that could still vanish in a crash is never shown. They read in pages
// with a new iterator for each, so a client that stops reading holds one page and nothing else. A subscription is the same
// reader with a place to wait: it has no queue that could overflow, hence nothing to lose.
package embedded
