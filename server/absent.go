package server

import (
	"strings"

	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// What follows is about things that cannot be made yet: backups, exports,
// imports, global tables, destinations in Kinesis, contributor insights. So
// there are none of them, and that is what is answered to whoever asks. What
// would make one says that it is not built (see docs/adr/0007).

func (f *frontend) listBackups(*api.ListBackupsInput) (*api.ListBackupsOutput, error) {
	return &api.ListBackupsOutput{BackupSummaries: []api.BackupSummary{}}, nil
}

func noBackup(arn string) error {
	return &api.BackupNotFoundException{Message: api.Some("Backup not found: " + arn)}
}

func (f *frontend) describeBackup(in *api.DescribeBackupInput) (*api.DescribeBackupOutput, error) {
	return nil, noBackup(in.BackupArn.Value)
}

func (f *frontend) deleteBackup(in *api.DeleteBackupInput) (*api.DeleteBackupOutput, error) {
	return nil, noBackup(in.BackupArn.Value)
}

func (f *frontend) restoreTableFromBackup(in *api.RestoreTableFromBackupInput) (*api.RestoreTableFromBackupOutput, error) {
	return nil, noBackup(in.BackupArn.Value)
}

func (f *frontend) createBackup(in *api.CreateBackupInput) (*api.CreateBackupOutput, error) {
	if _, err := f.tables.Recovery(in.TableName.Value); err != nil {
		return nil, backupError(in.TableName.Value, err)
	}
	return nil, notBuiltFault("CreateBackup")
}

func (f *frontend) restoreTableToPointInTime(in *api.RestoreTableToPointInTimeInput) (*api.RestoreTableToPointInTimeOutput, error) {
	source := in.SourceTableName.Or(in.SourceTableArn.Value)
	if err := f.checkRecoverable(source); err != nil {
		return nil, err
	}
	if _, err := f.tables.Recovery(in.TargetTableName.Value); err == nil {
		return nil, &api.TableAlreadyExistsException{Message: api.Some("Table already exists: " + in.TargetTableName.Value)}
	}
	return nil, notBuiltFault("RestoreTableToPointInTime")
}

// checkRecoverable refuses what needs the past of a table that keeps none.
func (f *frontend) checkRecoverable(name string) error {
	r, err := f.tables.Recovery(name)
	if err != nil {
		return backupError(name, err)
	}
	if r.Since == 0 {
		return &api.PointInTimeRecoveryUnavailableException{
			Message: api.Some("Point in time recovery is not enabled for table '" + name[strings.LastIndex(name, "/")+1:] + "'"),
		}
	}
	return nil
}

func (f *frontend) exportTable(in *api.ExportTableToPointInTimeInput) (*api.ExportTableToPointInTimeOutput, error) {
	if err := f.checkRecoverable(in.TableArn.Value); err != nil {
		return nil, err
	}
	return nil, notBuiltFault("ExportTableToPointInTime")
}

func (f *frontend) listExports(*api.ListExportsInput) (*api.ListExportsOutput, error) {
	return &api.ListExportsOutput{ExportSummaries: []api.ExportSummary{}}, nil
}

func (f *frontend) describeExport(in *api.DescribeExportInput) (*api.DescribeExportOutput, error) {
	return nil, &api.ExportNotFoundException{Message: api.Some("Export not found: " + in.ExportArn.Value)}
}

func (f *frontend) listImports(*api.ListImportsInput) (*api.ListImportsOutput, error) {
	return &api.ListImportsOutput{ImportSummaryList: []api.ImportSummary{}}, nil
}

func (f *frontend) describeImport(in *api.DescribeImportInput) (*api.DescribeImportOutput, error) {
	return nil, &api.ImportNotFoundException{Message: api.Some("Import not found: " + in.ImportArn.Value)}
}

func (f *frontend) listGlobalTables(*api.ListGlobalTablesInput) (*api.ListGlobalTablesOutput, error) {
	return &api.ListGlobalTablesOutput{GlobalTables: []api.GlobalTable{}}, nil
}

func noGlobalTable(name string) error {
	return &api.GlobalTableNotFoundException{Message: api.Some("Global table with name: '" + name + "' does not exist.")}
}

func (f *frontend) describeGlobalTable(in *api.DescribeGlobalTableInput) (*api.DescribeGlobalTableOutput, error) {
	return nil, noGlobalTable(in.GlobalTableName.Value)
}

func (f *frontend) describeGlobalTableSettings(in *api.DescribeGlobalTableSettingsInput) (*api.DescribeGlobalTableSettingsOutput, error) {
	return nil, noGlobalTable(in.GlobalTableName.Value)
}

func (f *frontend) updateGlobalTable(in *api.UpdateGlobalTableInput) (*api.UpdateGlobalTableOutput, error) {
	return nil, noGlobalTable(in.GlobalTableName.Value)
}

func (f *frontend) updateGlobalTableSettings(in *api.UpdateGlobalTableSettingsInput) (*api.UpdateGlobalTableSettingsOutput, error) {
	return nil, noGlobalTable(in.GlobalTableName.Value)
}

func (f *frontend) describeKinesisDestination(in *api.DescribeKinesisStreamingDestinationInput) (*api.DescribeKinesisStreamingDestinationOutput, error) {
	d, err := f.tables.Describe(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	return &api.DescribeKinesisStreamingDestinationOutput{
		TableName: api.Some(d.Name), KinesisDataStreamDestinations: []api.KinesisDataStreamDestination{},
	}, nil
}

func (f *frontend) describeContributorInsights(in *api.DescribeContributorInsightsInput) (*api.DescribeContributorInsightsOutput, error) {
	d, err := f.tables.Describe(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	if in.IndexName.Given && !hasIndex(d, in.IndexName.Value) {
		return nil, &api.ResourceNotFoundException{Message: api.Some("Requested resource not found: Index: " + in.IndexName.Value + " not found")}
	}
	return &api.DescribeContributorInsightsOutput{
		TableName: api.Some(d.Name), IndexName: in.IndexName, ContributorInsightsStatus: api.Some(table.StatusDisabled),
	}, nil
}

func hasIndex(d *table.Description, name string) bool {
	for _, list := range [][]table.IndexDefinition{d.LocalIndexes, d.GlobalIndexes} {
		for i := range list {
			if list[i].Name == name {
				return true
			}
		}
	}
	return false
}

func (f *frontend) listContributorInsights(in *api.ListContributorInsightsInput) (*api.ListContributorInsightsOutput, error) {
	if in.TableName.Given {
		if _, err := f.tables.Describe(in.TableName.Value); err != nil {
			return nil, err
		}
	}
	return &api.ListContributorInsightsOutput{ContributorInsightsSummaries: []api.ContributorInsightsSummary{}}, nil
}

func (f *frontend) describeReplicaAutoScaling(in *api.DescribeTableReplicaAutoScalingInput) (*api.DescribeTableReplicaAutoScalingOutput, error) {
	d, err := f.tables.Describe(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	return &api.DescribeTableReplicaAutoScalingOutput{TableAutoScalingDescription: &api.TableAutoScalingDescription{
		TableName: api.Some(d.Name), TableStatus: api.Some(d.Status), Replicas: []api.ReplicaAutoScalingDescription{},
	}}, nil
}
