package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/statordb/stator/bench/drive"
)

// A wire carries requests of one worker. Only do is timed.
type wire interface {
	prepare(operation string, body []byte) error
	// do returns the answer's body, which is valid until the next prepare. An answer that
	// is an error of the service is an *APIError.
	do() ([]byte, error)
	// move has the next do, also a repeated one, go to another node, if there are several. It returns how
	// many there are.
	move() int
	close() error
}

// An APIError is an error of the service.
type APIError struct {
	Status  int
	Type    string // without its namespace
	Message string
}

func (e *APIError) Error() string { return fmt.Sprintf("%s (%d): %.300s", e.Type, e.Status, e.Message) }

// Is makes what an endpoint does not offer ErrUnsupported.
func (e *APIError) Is(target error) bool {
	return target == drive.ErrUnsupported && e.Type == "UnknownOperationException"
}

// passing reports whether the same request may have another fate a moment later, as SDKs see it.
func passing(err error) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return true // of the connection
	}
	return api.Status >= 500 || strings.Contains(api.Type, "Throttl") || strings.Contains(api.Type, "LimitExceeded") || api.Type == "ProvisionedThroughputExceededException"
}

// conflictOr makes what was refused because of another operation on the same items, and for that alone, ErrConflict.
func conflictOr(err error) error {
	var api *APIError
	if !errors.As(err, &api) || api.Type != "TransactionConflictException" && !(api.Type == "TransactionCanceledException" && onlyConflicts(api.Message)) {
		return err
	}
	return fmt.Errorf("%w: %w", drive.ErrConflict, err)
}

// onlyConflicts reads the reasons in the message of a cancelled transaction: "... [None, TransactionConflict]".
func onlyConflicts(message string) (met bool) {
	list, closed := strings.CutSuffix(message[strings.LastIndexByte(message, '[')+1:], "]")
	for code := range strings.SplitSeq(list, ", ") {
		switch code {
		case "TransactionConflict":
			met = true
		case "None":
		default:
			return false
		}
	}
	return met && closed
}

func apiError(status int, body []byte) error {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Upper   string `json:"Message"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return &APIError{status, http.StatusText(status), string(body[:min(len(body), 300)])}
	}
	if e.Message == "" {
		e.Message = e.Upper
	}
	return &APIError{status, e.Type[strings.LastIndexByte(e.Type, '#')+1:], e.Message}
}

// A handlerWire calls a handler in this process.
type handlerWire struct {
	client *http.Client
	signer *signer
	req    *http.Request
	body   bytes.Buffer
}

func (w *handlerWire) prepare(operation string, body []byte) (err error) {
	w.req, err = http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+w.signer.host+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	target := "DynamoDB_20120810." + operation
	s := w.signer.sign(time.Now(), target, body)
	w.req.Header = http.Header{"Content-Type": {contentType}, "X-Amz-Target": {target}, "X-Amz-Date": {string(s.date)}, "Authorization": {string(s.authorization)}}
	return nil
}

func (w *handlerWire) do() ([]byte, error) {
	if body := w.req.GetBody; body != nil { // it may be sent again
		again, err := body()
		if err != nil {
			return nil, err
		}
		w.req.Body = again
	}
	res, err := w.client.Do(w.req)
	if err != nil {
		return nil, err
	}
	w.body.Reset()
	_, err = io.Copy(&w.body, res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != http.StatusOK {
		err = apiError(res.StatusCode, w.body.Bytes())
	}
	return w.body.Bytes(), err
}

func (w *handlerWire) move() int { return 1 }

func (w *handlerWire) close() error { return nil }
