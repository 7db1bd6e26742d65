// Package table is the typed operation of the database: tables with schemas,
// and one method per operation on their items.
//
// A Service takes requests whose expressions are parsed and whose values are
// well formed, and checks what needs a schema: key shapes, index keys, start
// keys, key conditions. It finds the partition by the hash of the partition
// key, proposes one replicated command per write, and reads from the
// partitions' rows. It knows neither JSON nor HTTP, nor which replica leads.
//
// Schemas and the partition map live in the catalog, a replicated state machine
// of its own (group 1).
//
// Reading order: schema.go and request.go (what goes in and out), errors.go,
// service.go, then the operations, one file each: get.go, put.go, delete.go,
// update.go, query.go, scan.go, batch_get.go, batch_write.go; create.go,
// update_table.go, delete_table.go and catalog.go for the control plane; settings.go,
// alter.go and expire.go for what is set beside a schema; upkeep.go, which brings
// changes to global indexes, and update_index.go and build_index.go, which make and
// delete these.
package table
