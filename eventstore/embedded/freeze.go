package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	backupService = "loyalty.eventstore.Backup"
	backupMethod  = "Freeze"

	// frozenPrefix begins the name of a folder with a frozen copy of the database.
	frozenPrefix = ".frozen-"

	// freezeAttempts is the most attempts to make a frozen folder that opens. Pebble copies its write-ahead log piece by piece while it is
	// written to. If the writer overtakes the copy, an old piece lies between new ones in the copy, which looks like damage. That is
	// rare.
	freezeAttempts = 5
)

// offerBackup adds the service that Backup calls on a running store, and removes folders that a killed process may have left.
//
// The service is not part of the protocol, and available only on the Unix socket. It takes no arguments and writes only a folder beside the
// database, so all that its caller can use up is disk space: for hard links to the table files, which keep those that are replaced
// meanwhile, and for a copy of the write-ahead log.
func (s *Server) offerBackup() {
	stale, err := filepath.Glob(filepath.Join(escapeGlob(s.dir), frozenPrefix+"*"))
	for _, dir := range stale {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		s.log.Warn("what is left of a backup can't be removed", "error", err)
	}
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: backupService,
		Streams: []grpc.StreamDesc{{StreamName: backupMethod, ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			return s.freeze(stream)
		}}},
	}, nil)
}

// escapeGlob escapes a path in a glob pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// freeze makes a folder with everything acknowledged by now, sends its name, and removes it when the call ends.
func (s *Server) freeze(stream grpc.ServerStream) (err error) {
	ctx := stream.Context()
	if from, ok := peer.FromContext(ctx); !ok || from.Addr.Network() != "unix" {
		return status.Error(codes.Unimplemented, "backups are made through the Unix socket only")
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, frozenPrefix)
	if err != nil {
		return explainUnwritable(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.freezeInto(filepath.Join(dir, dataFolder)); err != nil {
		return explainUnwritable(err)
	}
	if err := stream.SendMsg(wrapperspb.String(filepath.Base(dir))); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.service.closing:
		return errClosing
	}
}

// checkpoint makes Pebble copy its files. That may block as long as the disk does; a shutdown doesn't wait for it, because store.close then
// leaves the database as it is.
func (s *Server) checkpoint(data string) error {
	if err := s.store.disk.failure(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.store.db.Checkpoint(data) }()
	select {
	case err := <-done:
		return err
	case <-s.service.closing:
	}
	select {
	case err := <-done:
		return err
	case <-s.store.disk.blocked():
		return errClosing
	}
}

// freezeInto makes a copy of the database in a new folder, and makes sure that it opens and reaches the position that was acknowledged
// before.
func (s *Server) freezeInto(data string) error {
	acknowledged := s.store.end()
	for attempt := 1; ; attempt++ {
		err := s.checkpoint(data)
		if err == nil {
			err = writeMark(data, acknowledged)
		}
		if err != nil {
			return err
		}
		if _, err = lastPosition(data); err == nil || attempt == freezeAttempts {
			return err
		}
		s.log.Info("backup: the write-ahead log was overtaken while it was copied; copying again", "error", err)
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
}

// writeMark writes the mark of a copy: the position that it must reach.
func writeMark(data string, acknowledged uint64) error {
	m, _, err := openMark(vfs.Default, data)
	if err != nil {
		return err
	}
	return errors.Join(m.set(acknowledged), m.close())
}
