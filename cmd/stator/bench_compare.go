package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/statordb/stator/bench/gate"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/suite"
)

// verdictFlags are those of commands that judge.
type verdictFlags struct {
	Threshold  []string `placeholder:"METRIC=PERCENT" help:"How much worse is a regression, as in p99=5%; METRIC=off judges it no more. Default time=5%, cpu=5%, p99=10%. Metrics: time, rate, p50, p90, p99, p999, max, cpu, allocs, rss, disk, writeamp, spaceamp, stall, silence, recovery, simspeed, errors."`
	Confidence float64  `default:"0.95" help:"That none of all verdicts is a false alarm."`
	Markdown   string   `type:"path" placeholder:"FILE" help:"Write the comparison for a pull request, too."`
}

func (v *verdictFlags) options() (gate.Options, error) {
	t, err := gate.ParseThresholds(v.Threshold)
	if err == nil && !(v.Confidence > 0.5 && v.Confidence < 1) {
		err = errors.New("--confidence lies between 0.5 and 1")
	}
	if err != nil {
		return gate.Options{}, &suite.UsageError{Err: err}
	}
	return gate.Options{Thresholds: t, Confidence: v.Confidence}, nil
}

// judge compares, prints and returns the verdict as an error with its exit code.
func (v *verdictFlags) judge(out io.Writer, base, head *result.File, o gate.Options) error {
	r, err := gate.Compare(base, head, o)
	if err != nil {
		return err
	}
	if err := r.Text(out); err != nil {
		return err
	}
	if v.Markdown != "" {
		file, err := os.Create(v.Markdown)
		if err != nil {
			return err
		}
		if err := errors.Join(r.Markdown(file), file.Close()); err != nil {
			return err
		}
	}
	switch code := r.Exit(); code {
	case gate.ExitRegression:
		return &exitError{code, errors.New("regression")}
	case gate.ExitInconclusive:
		return &exitError{code, errors.New("inconclusive: run more rounds, or on a quieter machine")}
	}
	return nil
}

type benchCompareCommand struct {
	Base string `arg:"" type:"existingfile" help:"The result to judge by."`
	Head string `arg:"" type:"existingfile" help:"The result to judge."`
	verdictFlags
}

func (c *benchCompareCommand) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	base, err := result.Read(c.Base)
	if err != nil {
		return err
	}
	head, err := result.Read(c.Head)
	if err != nil {
		return err
	}
	return c.judge(os.Stdout, base, head, o)
}

type benchHistoryCommand struct {
	Dir       string   `arg:"" type:"existingdir" help:"Folder of results (*.json). Their time is their order."`
	Threshold []string `placeholder:"METRIC=PERCENT" help:"The least change that is told, as in p99=5%. Default time=5%, cpu=5%, p99=10%."`
}

func (c *benchHistoryCommand) Run() error {
	t, err := gate.ParseThresholds(c.Threshold)
	if err != nil {
		return &suite.UsageError{Err: err}
	}
	files, err := result.ReadFolder(c.Dir)
	if err != nil {
		return err
	}
	changes, err := gate.History(files, t)
	if err != nil {
		return err
	}
	if err := gate.HistoryText(os.Stdout, len(files), changes); err != nil {
		return err
	}
	if code := gate.HistoryExit(changes); code != gate.ExitSame {
		return &exitError{code, fmt.Errorf("a regression stands")}
	}
	return nil
}
