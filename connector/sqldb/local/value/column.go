package value

// Column describes a column of a result or of a table's rows.
type Column struct {
	Name     string
	Type     Type
	Nullable bool
	Identity bool
}
