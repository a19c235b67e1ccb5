package settings

import (
	"strings"
	"testing"
)

func TestMaskHidesPasswordsAndNothingElse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                            "",
		"h:9092,i:9092":                               "h:9092,i:9092",
		"postgres://u:hush@h:5432/db":                 "postgres://u:***@h:5432/db",
		"postgres://u@h/db":                           "postgres://u@h/db",
		"postgres://u:hu@sh@h/db":                     "postgres://u:***@h/db",
		"postgres://u:hu/sh%@h/db":                    "postgres://u:***@h/db",
		"postgres://h/db?password=hush&x=1":           "postgres://h/db?password=***&x=1",
		"Server=h;Password=hush;Encrypt=true":         "Server=h;Password=***;Encrypt=true",
		"pwd = 'hush hush'; x":                        "pwd = ***; x",
		"SharedAccessKeyName=k;SharedAccessKey=hush=": "SharedAccessKeyName=k;SharedAccessKey=***",
		"AccountKey=hush==;EndpointSuffix=x":          "AccountKey=***;EndpointSuffix=x",
		"contoso://device-id-":                        "contoso://device-id-",
	} {
		if got := Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("postgres://u:hush@h/db")
	f.Add("a://:@")
	f.Fuzz(func(t *testing.T, s string) {
		if once := Mask(s); Mask(once) != once && !strings.Contains(s, "://") {
			t.Errorf("Mask is not stable for %q: %q, %q", s, once, Mask(once))
		}
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"partitions", "topic", "brokers", "tls", "hdinsightkafka-databricks-sqldw"}
	for name, want := range map[string]string{
		"partitons": "partitions", "Partitions": "partitions", "topci": "topic", "broker": "brokers", "tsl": "tls",
		"hdinsight": "hdinsightkafka-databricks-sqldw", "zzz": "", "": "", "xyz": "", strings.Repeat("a", 500): "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
