package solution

// Places for dead letters.
const (
	ToFile  = "file"
	ToTopic = "topic"
)

// DeadLetters is the `deadLetters` section: where inputs go that cannot be
// processed.
type DeadLetters struct {
	To string `yaml:"to" enum:"file,topic" required:"true" doc:"file: JSON lines in the data directory; topic: a topic beside the ingested one, named after it"`
}

// NewDeadLetters returns the defaults.
func NewDeadLetters() *DeadLetters { return &DeadLetters{To: ToFile} }
