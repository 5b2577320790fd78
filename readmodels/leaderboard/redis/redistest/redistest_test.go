package redistest_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"loyalty/readmodels/leaderboard/redis/redistest"
)

func TestAServerHasItsDataAgainAfterAShutdown(t *testing.T) {
	s := redistest.Start(t)
	s.Do("SET", "a", "1")
	s.Shutdown()
	s.Start()
	if got := s.Do("GET", "a"); got != "1" {
		t.Errorf("got %s", got)
	}
}

func TestServersAreNeverRoots(t *testing.T) {
	s := redistest.Start(t)
	_, after, found := strings.Cut(s.Do("INFO", "server"), "process_id:")
	if !found {
		t.Fatal("the server does not tell its process")
	}
	pid, _, _ := strings.Cut(after, "\r")
	status, err := os.Stat("/proc/" + pid)
	if err != nil {
		t.Fatal(err)
	}
	if status.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Error("root's")
	}
}

func TestAClusterServesAllSlots(t *testing.T) {
	c := redistest.StartCluster(t)
	if info := c.Servers[2].Do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_slots_ok:16384") {
		t.Error(info)
	}
}

func TestASentinelHasAReplica(t *testing.T) {
	s := redistest.StartSentinel(t)
	if info := s.Master.Do("INFO", "replication"); !strings.Contains(info, "connected_slaves:1") {
		t.Error(info)
	}
}
