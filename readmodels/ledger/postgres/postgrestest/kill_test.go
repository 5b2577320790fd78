package postgrestest

import "testing"

func TestAKilledServerStartsAgainWithAllItHeld(t *testing.T) {
	s := Start(t)
	if err := s.exec("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Kill()
		if connects(t, s.address.String()) {
			t.Error("it still answers")
		}
		s.Start()
		if err := s.exec("INSERT INTO kept SELECT 1 / count(*) FROM kept"); err != nil {
			t.Fatal(err)
		}
	}
}
