package server

import (
	"errors"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) updateTimeToLive(in *api.UpdateTimeToLiveInput) (*api.UpdateTimeToLiveOutput, error) {
	spec := in.TimeToLiveSpecification
	if err := f.tables.SetTimeToLive(in.TableName.Value, spec.Enabled.Value, spec.AttributeName.Value); err != nil {
		return nil, err
	}
	return &api.UpdateTimeToLiveOutput{TimeToLiveSpecification: spec}, nil
}

func (f *frontend) describeTimeToLive(in *api.DescribeTimeToLiveInput) (*api.DescribeTimeToLiveOutput, error) {
	status, attribute, err := f.tables.TimeToLive(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	return &api.DescribeTimeToLiveOutput{TimeToLiveDescription: &api.TimeToLiveDescription{
		TimeToLiveStatus: api.Some(status),
		AttributeName:    api.Optional[string]{Value: attribute, Given: attribute != ""},
	}}, nil
}

func (f *frontend) updateContinuousBackups(in *api.UpdateContinuousBackupsInput) (*api.UpdateContinuousBackupsOutput, error) {
	name, spec := in.TableName.Value, in.PointInTimeRecoverySpecification
	r, err := f.tables.SetRecovery(name, spec.PointInTimeRecoveryEnabled.Value, int(spec.RecoveryPeriodInDays.Value))
	if err != nil {
		return nil, backupError(name, err)
	}
	return &api.UpdateContinuousBackupsOutput{ContinuousBackupsDescription: describeRecovery(r)}, nil
}

func (f *frontend) describeContinuousBackups(in *api.DescribeContinuousBackupsInput) (*api.DescribeContinuousBackupsOutput, error) {
	name := in.TableName.Value
	r, err := f.tables.Recovery(name)
	if err != nil {
		return nil, backupError(name, err)
	}
	return &api.DescribeContinuousBackupsOutput{ContinuousBackupsDescription: describeRecovery(r)}, nil
}

func describeRecovery(r table.Recovery) *api.ContinuousBackupsDescription {
	d := &api.PointInTimeRecoveryDescription{PointInTimeRecoveryStatus: api.Some(table.StatusDisabled)}
	if r.Since != 0 {
		earliest, latest := r.Window(env.Time(time.Now().UnixNano()))
		d = &api.PointInTimeRecoveryDescription{
			EarliestRestorableDateTime: api.Some(earliest),
			LatestRestorableDateTime:   api.Some(latest),
			PointInTimeRecoveryStatus:  api.Some(table.StatusEnabled),
			RecoveryPeriodInDays:       api.Some(int32(r.Days)),
		}
	}
	return &api.ContinuousBackupsDescription{ContinuousBackupsStatus: api.Some(table.StatusEnabled), PointInTimeRecoveryDescription: d}
}

// backupError is err as operations about backups answer with it, which have
// errors of their own.
func backupError(name string, err error) error {
	var missing *table.NotFoundError
	var inUse *table.InUseError
	switch {
	case errors.As(err, &missing):
		return &api.TableNotFoundException{Message: api.Some("Table not found: " + name)}
	case errors.As(err, &inUse) && inUse.Status == table.StatusDeleting:
		return &api.TableNotFoundException{Message: api.Some("Table not found: " + name)}
	case errors.As(err, &inUse):
		return &api.ContinuousBackupsUnavailableException{
			Message: api.Some("Backups are being enabled for the table: " + name + ". Please retry later"),
		}
	}
	return err
}
