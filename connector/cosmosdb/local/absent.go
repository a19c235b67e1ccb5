package local

import (
	"net/http"
	"strings"

	"millrace/connector/cosmosdb/local/value"
)

// Stored procedures, triggers, user-defined functions, conflicts, users,
// permissions and what else the service has: none of them is here. Their feeds
// are empty, one of them is not found, and making one is refused.

// feedNames are the members that hold the resources in answers.
var feedNames = map[string]string{
	"dbs": "Databases", "colls": "DocumentCollections", "docs": "Documents", "pkranges": "PartitionKeyRanges", "offers": "Offers",
	"sprocs": "StoredProcedures", "triggers": "Triggers", "udfs": "UserDefinedFunctions", "conflicts": "Conflicts",
	"users": "Users", "permissions": "Permissions", "schemas": "Schemas", "udts": "UserDefinedTypes",
	"clientencryptionkeys": "ClientEncryptionKeys", "attachments": "Attachments",
	"partitionedsystemdocuments": "PartitionedSystemDocuments",
}

// absentNames are what people call them.
var absentNames = map[string]string{
	"sprocs": "Stored procedures", "triggers": "Triggers", "udfs": "User-defined functions", "conflicts": "Conflicts",
	"users": "Users", "permissions": "Permissions", "attachments": "Attachments", "schemas": "Schemas",
	"udts": "User-defined types", "clientencryptionkeys": "Client encryption keys",
	"partitionedsystemdocuments": "System documents",
}

func (s *Server) listAbsent(c *call) error {
	if c.path.word == "permissions" || c.path.word == "attachments" {
		return notFound() // there is no user, and no item has attachments
	}
	rid := ""
	switch {
	case c.coll != nil:
		rid = c.coll.RID()
	case c.db != nil:
		rid = c.db.RID
	}
	c.out.charge += metadataRead
	c.openFeed(rid)
	return c.closeFeed(0, "")
}

func (s *Server) absentResource(c *call) error {
	c.out.charge += metadataRead
	return notFound()
}

func (s *Server) absentCreate(c *call) error {
	return &failure{status: http.StatusBadRequest, message: absentNames[c.path.word] + " are not supported by this server. " +
		"It keeps databases, containers and items."}
}

// openFeed begins the envelope of a feed of the path's kind.
func (c *call) openFeed(rid string) {
	b := append(c.out.body, `{"_rid":`...)
	b = append(value.AppendString(b, rid), `,"`...)
	name := feedNames[strings.ToLower(c.path.word)]
	c.out.body = append(append(b, name...), `":[`...)
}

// closeFeed ends the envelope of a feed of n resources, and answers with it.
func (c *call) closeFeed(n int, continuation string) error {
	b := append(c.out.body, `],"_count":`...)
	c.out.body = append(appendInt(b, n), '}')
	return c.page(n, continuation)
}
