package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// A Retryer tells an SDK client when to try again: it has the methods of aws.RetryerV2 of
// aws-sdk-go-v2 and decides as that SDK's standard mode does, but for the quota of
// retries. Its pauses come from the cluster's seed, and not from the machine's chance, so
// that runs of one seed stay equal.
type Retryer struct {
	attempts int
	mu       sync.Mutex
	chance   *rand.Rand
}

// Retryer returns a retryer that makes so many attempts at most; the SDK's own default is
// 3. Options of an SDK client take it as they are.
func (c *Cluster) Retryer(attempts int) *Retryer {
	return &Retryer{attempts: attempts, chance: rand.New(rand.NewPCG(c.seed, 0x5d4))}
}

// MaxAttempts returns how many attempts there are for a request.
func (r *Retryer) MaxAttempts() int { return r.attempts }

// retryableCodes are those errors with a status below 500 that may not come again.
var retryableCodes = []string{
	"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException",
	"TransactionInProgressException", "RequestTimeout", "RequestTimeoutException",
}

// IsErrorRetryable reports whether another attempt may have another answer.
func (r *Retryer) IsErrorRetryable(err error) bool {
	var status interface{ HTTPStatusCode() int }
	var code interface{ ErrorCode() string }
	var connection *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &connection):
		return true
	case errors.As(err, &status) && slices.Contains([]int{500, 502, 503, 504}, status.HTTPStatusCode()):
		return true
	}
	return errors.As(err, &code) && slices.Contains(retryableCodes, code.ErrorCode())
}

// maxBackoff is the longest pause.
const maxBackoff = 20 * time.Second

// RetryDelay returns how long to wait after an attempt, the first of which is 1: a random
// part of 2 s, 4 s, 8 s and so on.
func (r *Retryer) RetryDelay(attempt int, _ error) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	longest := min(maxBackoff, time.Second<<min(10, max(0, attempt)))
	return time.Duration(r.chance.Float64() * float64(longest)), nil
}

func free(error) error { return nil }

// GetRetryToken lets every retry happen.
func (r *Retryer) GetRetryToken(context.Context, error) (release func(error) error, err error) {
	return free, nil
}

// GetInitialToken lets every request happen.
func (r *Retryer) GetInitialToken() (release func(error) error) { return free }

// GetAttemptToken lets every attempt happen.
func (r *Retryer) GetAttemptToken(context.Context) (release func(error) error, err error) {
	return free, nil
}

// Tokens gives an SDK client the idempotency tokens for its transactions; see
// IdempotencyTokenProvider there. The SDK's own come from the machine's chance.
type Tokens struct {
	mu     sync.Mutex
	seed   uint64
	source int
	next   int
}

// Tokens returns a source of tokens. Each call returns one of its own, with other tokens.
func (c *Cluster) Tokens() *Tokens {
	c.driver.mu.Lock()
	defer c.driver.mu.Unlock()
	c.sources++
	return &Tokens{seed: c.seed, source: c.sources}
}

// GetIdempotencyToken returns a token that was not given before.
func (t *Tokens) GetIdempotencyToken() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	return fmt.Sprintf("simtest-%d-%d-%d", t.seed, t.source, t.next), nil
}
