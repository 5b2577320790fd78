package api_test

import (
	"strings"
	"testing"

	"loyalty/api"
	"loyalty/domain"
)

// Given customers, and staff without the scope that it takes
// When they ask for what they may not see
// Then they are denied, each is counted, and a customer who asked for another's account is noted by keys alone.
func TestWhoAsksForAnothersAccountIsNoted(t *testing.T) {
	var proxies domain.Proxies
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		proxies = c.Proxies
	})
	asker := customer("curious-7Q")
	for _, path := range []string{"/loyalty/asked-8Q", "/loyalty/%61sked-8Q/trail", "/loyalty/asked-8Q/trail", "/loyalty/asked-8Q/changes?since=1", "/loyalty/asked-8Q/entries/" + entryID} {
		s.do(t, exchange{as: asker, method: "GET", path: path, status: 403, code: "forbidden"})
	}
	s.do(t, exchange{as: asker, method: "GET", path: "/loyalty/curious-7Q", status: 200})
	s.do(t, exchange{as: asker, method: "GET", path: "/loyalty/curious-7Q?asOf=2026-10-01", status: 403, code: "forbidden"})
	s.do(t, exchange{as: asker, method: "GET", path: "/search?q=asked-8Q", status: 403, code: "forbidden"})
	s.do(t, exchange{as: asker, method: "POST", path: "/order/o-1", body: orderOf(`1`, "asked-8Q"), status: 403, code: "forbidden"})
	s.do(t, exchange{as: support, method: "GET", path: "/acts", status: 403, code: "forbidden"})

	log := s.log.String()
	noted := strings.Count(log, `"level":"WARN","msg":"a customer asked for another's account"`)
	if noted != 5 || strings.Contains(log, "curious-7Q") || strings.Contains(log, "asked-8Q") {
		t.Errorf("it was noted %d times:\n%s", noted, log)
	}
	for _, part := range []string{
		`"route":"/loyalty/:userId/trail","id":"`,
		`"asker":"` + proxies.Key("curious-7Q").String() + `","asked":"` + proxies.Key("asked-8Q").String() + `"`,
	} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %s:\n%s", part, log)
		}
	}
	for _, line := range []string{
		`loyalty_http_refused_total{role="customer",route="/loyalty/:userId"} 2`,
		`loyalty_http_refused_total{role="customer",route="/loyalty/:userId/trail"} 2`,
		`loyalty_http_refused_total{role="customer",route="/loyalty/:userId/changes"} 1`,
		`loyalty_http_refused_total{role="customer",route="/loyalty/:userId/entries/:entryId"} 1`,
		`loyalty_http_refused_total{role="customer",route="/search"} 1`,
		`loyalty_http_refused_total{role="customer",route="/order/:orderId"} 1`,
		`loyalty_http_refused_total{role="support",route="/acts"} 1`,
	} {
		s.waitForMetric(t, line)
	}
}

func TestWithoutProxyKeysADeniedRequestIsNotedWithoutThem(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Ledger, c.Proxies = fixed{}, domain.Proxies{} })
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/bob/trail", status: 403, code: "forbidden"})
	log := s.log.String()
	if !strings.Contains(log, "a customer asked for another's account") || strings.Contains(log, "asker") || strings.Contains(log, "bob") {
		t.Errorf("the log says %s", log)
	}
}
