package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// document is docs/openapi.yaml, with all that the server was seen to answer.
type document struct {
	*openapi3.T
	mu   sync.Mutex
	seen map[sighting]bool
}

// sighting is one way to answer: an operation ("POST /order/{orderId}"), a status, and the code of the problem if it is one.
type sighting struct {
	operation string
	status    int
	code      string
}

func (s sighting) String() string { return fmt.Sprintf("%s → %d %s", s.operation, s.status, s.code) }

func loadDocument(t testing.TB) *document {
	t.Helper()
	data, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", decodeLines)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("the document is not valid OpenAPI: %v", err)
	}
	return &document{T: doc, seen: make(map[sighting]bool)}
}

// decodeLines reads JSON lines as the array that the document has for them.
func decodeLines(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	all := []any{}
	for decoder := json.NewDecoder(body); ; {
		var line any
		switch err := decoder.Decode(&line); err {
		case nil:
			all = append(all, line)
		case io.EOF:
			return all, nil
		default:
			return nil, err
		}
	}
}

// inexpressible are the codes of requests that are at fault in a way that a schema can't say.
var inexpressible = []string{
	"json_malformed", "field_repeated", "query_malformed", "parameter_unknown", "parameter_repeated", "customer_id_missing", "cursor_invalid", "currency_not_in_policy",
	"moment_too_early", "moment_too_late", "season_unknown", "season_as_of", "span_too_long",
	"until_empty", "until_before_first", "until_after_last", "until_in_append", "until_before_from",
}

// check compares one exchange with the document: its answer must be one that the document gives its operation, to the
// letter, and its request must be valid by the document if the server did what it asked, and invalid if the server said so.
func (d *document) check(t testing.TB, request *http.Request, x exchange, got answer) {
	t.Helper()
	code := got.problem.Code
	if code == "route_not_found" || code == "method_not_allowed" {
		return
	}
	route, parameters := d.route(request)
	if route == nil {
		t.Errorf("%s %s is not in the document and was answered with %d %s", request.Method, request.URL.Path, got.status, code)
		return
	}
	d.mu.Lock()
	d.seen[sighting{route.Method + " " + route.Path, got.status, code}] = true
	d.mu.Unlock()

	request.Body = io.NopCloser(strings.NewReader(x.body))
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route, QueryParams: request.URL.Query(),
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
			// A batch may hold lines that are invalid, each for itself.
			ExcludeRequestBody: route.Path == "/orders",
		},
	}
	err := openapi3filter.ValidateRequest(t.Context(), input)
	switch {
	case got.status < 300 && err != nil:
		t.Errorf("the server did what the document calls invalid: %v", err)
	case got.status == http.StatusBadRequest && err == nil && !x.wordy && !slices.Contains(inexpressible, code):
		t.Errorf("the document allows what the server answered with %s: %s %s %s", code, request.Method, request.URL, x.body)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader(got.body)), Options: input.Options,
	})
	if err != nil {
		t.Errorf("the answer is not what the document says: %v\n%s", err, got.body)
	}
}

// route finds the operation of a request, and its path parameters; nil if there is none.
func (d *document) route(request *http.Request) (*routers.Route, map[string]string) {
	said := strings.Split(request.URL.EscapedPath(), "/")
	for template, item := range d.Paths.Map() {
		parts := strings.Split(template, "/")
		operation := item.GetOperation(request.Method)
		if len(parts) != len(said) || operation == nil {
			continue
		}
		parameters := make(map[string]string)
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				parts[i] = said[i]
				if value, err := url.PathUnescape(said[i]); err == nil {
					parameters[strings.TrimSuffix(name, "}")] = value
				}
			}
		}
		if slices.Equal(parts, said) {
			return &routers.Route{Spec: d.T, Path: template, PathItem: item, Method: request.Method, Operation: operation}, parameters
		}
	}
	return nil, nil
}

// declared is every way to answer that the document lists.
func (d *document) declared(t testing.TB) map[sighting]bool {
	t.Helper()
	all := make(map[sighting]bool)
	for template, item := range d.Paths.Map() {
		for method, operation := range item.Operations() {
			for text, response := range operation.Responses.Map() {
				var status int
				if _, err := fmt.Sscan(text, &status); err != nil {
					t.Fatal(err)
				}
				codes, _ := response.Value.Extensions["x-codes"].([]any)
				if (len(codes) > 0) != (status >= 400) {
					t.Errorf("%s %s %d: x-codes belong to problems, and to all of them", method, template, status)
				}
				for _, code := range codes {
					all[sighting{method + " " + template, status, code.(string)}] = true
				}
				if status < 400 {
					all[sighting{method + " " + template, status, ""}] = true
				}
			}
		}
	}
	return all
}

// codes is the document's list of all codes.
func (d *document) codes() []string {
	var all []string
	for _, code := range d.Components.Schemas["Code"].Value.Enum {
		all = append(all, code.(string))
	}
	return slices.Sorted(slices.Values(all))
}

// Given every request of the tables in these tests
// When the server has answered them all
// Then it has answered in every way that the document lists, and in no other.
func TestTheDocumentListsEveryAnswerAndNoOther(t *testing.T) {
	doc := loadDocument(t)
	t.Run("what callers ask for is done", func(t *testing.T) { runAccepted(t, doc) })
	t.Run("support finds and explains", func(t *testing.T) { runLookups(t, doc) })
	t.Run("the past is kept", func(t *testing.T) { runPast(t, doc) })
	t.Run("nothing is appended for bad input", func(t *testing.T) { runInvalid(t, doc) })
	t.Run("a dashboard of a season has names of its own", func(t *testing.T) { runSeasons(t, doc) })
	t.Run("a session is a token in a cookie", func(t *testing.T) { runSessions(t, doc) })
	t.Run("every error has its answer", func(t *testing.T) { runFailing(t, doc) })
	t.Run("operators are told", func(t *testing.T) { runOperations(t, doc) })
	t.Run("callers are kept within limits", func(t *testing.T) { runLimits(t, doc) })
	t.Run("batches are answered in every way", func(t *testing.T) { runBatches(t, doc) })
	t.Run("a live page is answered as documented", func(t *testing.T) { runLive(t, doc) })
	t.Run("analysts are told", func(t *testing.T) { runAnalyses(t, doc) })

	declared := doc.declared(t)
	for want := range declared {
		if !doc.seen[want] {
			t.Errorf("listed and never answered: %s", want)
		}
	}
	for got := range doc.seen {
		if !declared[got] {
			t.Errorf("answered and not listed: %s", got)
		}
	}
	used := map[string]bool{"route_not_found": true, "method_not_allowed": true}
	for s := range declared {
		if s.code != "" {
			used[s.code] = true
		}
	}
	if got, want := doc.codes(), slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) {
		t.Errorf("the list of all codes is %v, those of the responses are %v", got, want)
	}
}
