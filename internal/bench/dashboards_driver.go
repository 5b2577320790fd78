package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"time"
)

// samplesPerSecond is the number of answers in each second that are kept and checked.
const samplesPerSecond = 20

// driverProcess is the other process, which makes the requests. It runs Drive.
type driverProcess struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

func startDriver(ctx context.Context, setup driveSetup, errs io.Writer) (*driverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &driverProcess{command: exec.CommandContext(ctx, self, "bench", "drive")}
	d.command.Stderr = errs
	if d.in, err = d.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = json.NewDecoder(out)
	if err := d.command.Start(); err != nil {
		return nil, err
	}
	return d, json.NewEncoder(d.in).Encode(setup)
}

func (d *driverProcess) do(job driveJob) (driveResult, error) {
	var answer driveResult
	if err := errors.Join(json.NewEncoder(d.in).Encode(job), d.out.Decode(&answer)); err != nil {
		return answer, err
	}
	if answer.Failed != "" {
		return answer, errors.New(answer.Failed)
	}
	return answer, nil
}

func (d *driverProcess) stop() error { return errors.Join(d.in.Close(), d.command.Wait()) }

func (d *driverProcess) round(addresses map[string]string, length time.Duration) (r round, err error) {
	if r.dashboards, r.dashboardCPU, err = d.timed(driveJob{Address: addresses["dashboards"], For: length, Sampled: samplesPerSecond}); err != nil {
		return r, err
	}
	r.empty, r.emptyCPU, err = d.timed(driveJob{Address: addresses["empty"], For: length})
	return r, err
}

// timed has a job done and measures the processor time that this process, the server, spends meanwhile.
func (d *driverProcess) timed(job driveJob) (driveResult, time.Duration, error) {
	before := processorTime()
	answer, err := d.do(job)
	return answer, processorTime() - before, err
}
