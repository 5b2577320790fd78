package postgrestest

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestAServerEndsWithATestThatIsKilled(t *testing.T) {
	// Given a process with a server
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), hold+"=1")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	address := lines.Text()
	there, err := url.Parse(address)
	if err != nil || !connects(t, address) {
		t.Fatalf("%q does not answer: %v", address, err)
	}
	// When that is killed
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	// Then its server ends, and the next one to start removes its folder
	for start := time.Now(); connects(t, address); {
		if time.Since(start) > timeout {
			t.Fatal("it outlives its test")
		}
	}
	Start(t)
	if _, err := os.Stat(there.Query().Get("host")); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}
