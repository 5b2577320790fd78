package request

import (
	"encoding/json"
	"errors"
	"net/http"

	"loyalty/internal/problem"

	"github.com/labstack/echo/v4"
)

// MIMELines is the type of a body that has a JSON value on each line.
const MIMELines = "application/x-ndjson"

// Values of headers. Nothing changes the slices, so that all answers can share them.
var (
	jsonType = []string{echo.MIMEApplicationJSON}
	yes, no  = []string{"true"}, []string{"false"}
)

// ErrIncomplete is of an answer that was begun and can't be ended. Its connection is broken, so that nobody takes it for whole.
var ErrIncomplete = errors.New("the answer is not whole")

// WriteProblem answers with a problem.
func WriteProblem(w http.ResponseWriter, p problem.Problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, err = w.Write(body)
	return err
}

// JSON answers 200 with JSON that is encoded already.
func JSON(c echo.Context, body []byte) error { return send(c, http.StatusOK, body) }

func send(c echo.Context, status int, body []byte) error {
	response := c.Response()
	response.Header()["Content-Type"] = jsonType
	response.WriteHeader(status)
	_, err := response.Write(body)
	return err
}

// Written answers a write: 201, or 200 with the header Idempotent-Replayed where this is what the first request was answered with.
func Written(c echo.Context, replayed bool, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return WrittenJSON(c, replayed, append(body, '\n'))
}

// WrittenJSON is Written with an answer that is encoded already.
func WrittenJSON(c echo.Context, replayed bool, body []byte) error {
	if !replayed {
		return send(c, http.StatusCreated, body)
	}
	c.Response().Header()["Idempotent-Replayed"] = yes
	return send(c, http.StatusOK, body)
}

// Previewed answers 200 with what a write would have done.
func Previewed(c echo.Context, answer any) error {
	c.Response().Header()["Idempotent-Replayed"] = no
	return c.JSON(http.StatusOK, answer)
}
