package emulator

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
)

// official is the configuration that comes with the official emulator.
const official = `{
  "UserConfig": {
    "NamespaceConfig": [
      {
        "Type": "EventHub",
        "Name": "emulatorNs1",
        "Entities": [
          {
            "Name": "eh1",
            "PartitionCount": "2",
            "ConsumerGroups": [
              {
                "Name": "cg1"
              }
            ]
          }
        ]
      }
    ],
    "LoggingConfig": {
      "Type": "File"
    }
  }
}`

func TestOfficialConfig(t *testing.T) {
	t.Parallel()
	want := []NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: "emulatorNs1",
		Hubs: []hub.Spec{{Name: "eh1", Partitions: 2, Groups: []string{"cg1"}}}}}}
	for name, text := range map[string]string{
		"as it is":        official,
		"byte order mark": "\xef\xbb\xbf" + official,
		"numbers":         strings.Replace(official, `"2"`, `2`, 1),
		"lower case":      strings.NewReplacer("UserConfig", "userConfig", "PartitionCount", "partitioncount", "EventHub", "eventhub").Replace(official),
		"windows":         strings.ReplaceAll(official, "\n", "\r\n"),
		"default group":   strings.Replace(official, `"Name": "cg1"`, `"Name": "cg1"}, {"Name": "$default"`, 1),
	} {
		c, err := ParseConfig("Config.json", []byte(text))
		if err != nil || !reflect.DeepEqual(c.Namespaces, want) || len(c.Ignored) > 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestFieldsOfOurs(t *testing.T) {
	t.Parallel()
	c, err := ParseConfig("c.json", []byte(`{"UserConfig": {"Comment": "by hand", "NamespaceConfig": [
	 {"Name": "a", "Sku": {"Name": "Standard"}, "ThroughputUnits": 12, "Port": 6000, "KafkaPort": "6001", "Entities": [
	  {"Name": "x", "RetentionTimeInHours": 5, "Capture": {"enabled": true, "encoding": "AvroDeflate", "intervalInSeconds": 60, "sizeLimitInBytes": 10485760,
	    "skipEmptyArchives": true, "destination": {"name": "EventHubArchive.AzureBlockBlob", "properties": {"storageAccountResourceId": "/s", "blobContainer": "box",
	    "archiveNameFormat": "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"}}}},
	  {"Name": "y", "MessageRetentionInDays": 2, "CaptureDescription": {"Enabled": false}}, {"Name": "z", "ConsumerGroups": null}]},
	 {"Name": "b"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Namespaces[0]
	if a.ThroughputUnits != 12 || a.Port != 6000 || a.KafkaPort != 6001 || len(a.Hubs) != 3 || c.Namespaces[1].Name != "b" {
		t.Errorf("%+v", c.Namespaces)
	}
	want := &hub.CaptureSpec{Enabled: true, SkipEmpty: true, Interval: time.Minute, SizeLimit: 10485760, Codec: "deflate", Container: "box",
		NameFormat: "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"}
	if x := a.Hubs[0]; x.Retention != 5*time.Hour || !reflect.DeepEqual(x.Capture, want) {
		t.Errorf("%+v %+v", x, x.Capture)
	}
	if y := a.Hubs[1]; y.Retention != 48*time.Hour || y.Capture == nil || y.Capture.Enabled {
		t.Errorf("%+v", y)
	}
	if got := strings.Join(c.Ignored, ", "); got != "line 2: Sku, line 1: Comment" && got != "line 1: Comment, line 2: Sku" {
		t.Errorf("ignored %q", got)
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	in := func(old, now string) string { return strings.Replace(official, old, now, 1) }
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "c:1: this is not JSON: the file ends in the middle"},
		"cut":            {official[:200], "this is not JSON: the file ends in the middle"},
		"comma":          {in(`"2",`, `"2"`), "c:11: this is not JSON: "},
		"comment":        {"// mine\n" + official, "c:1: this is not JSON: "},
		"two":            {official + "{}", "c:24: this is not JSON: there is something after the end"},
		"an array":       {"[]", "c:1: the configuration must be an object, not array"},
		"nothing":        {"{}", "c:1: there is no UserConfig.NamespaceConfig"},
		"no namespaces":  {`{"UserConfig":{"NamespaceConfig":[]}}`, "NamespaceConfig is empty"},
		"misspelt":       {in("PartitionCount", "PartitionsCount"), "c:10: the entity has no field PartitionsCount; did you mean PartitionCount?"},
		"misspelt above": {in("NamespaceConfig", "NamespaceConfigs"), "c:3: UserConfig has no field NamespaceConfigs; did you mean NamespaceConfig?"},
		"twice":          {in(`"PartitionCount": "2"`, `"PartitionCount": "2", "partitionCount": 3`), "c:10: partitionCount is there twice; the first is in line 10"},
		"partitions":     {in(`"2"`, `"two"`), "c:10: PartitionCount must be a whole number between 1 and 1024, not two"},
		"no partitions":  {in(`"2"`, `0`), "c:10: PartitionCount must be"},
		"half a one":     {in(`"2"`, `1.5`), "c:10: PartitionCount must be"},
		"a list of them": {in(`"2"`, `[2]`), "c:10: PartitionCount must be a whole number, not array"},
		"type":           {in(`"EventHub"`, `"ServiceBus"`), "c:5: the namespace has the type ServiceBus"},
		"a name":         {in(`"eh1"`, `1`), "c:9: Name must be text, not number"},
		"no name":        {in(`"Name": "eh1",`, ``), "the entity has no Name"},
		"no group name":  {in(`"Name": "cg1"`, ``), "the consumer group has no Name"},
		"groups":         {in(`"ConsumerGroups": [`, `"ConsumerGroups": "x", "Other": [`), "c:11: ConsumerGroups must be an array, not text"},
		"same hubs":      {in(`"Entities": [`, `"Entities": [{"Name": "EH1"},`), "c:9: namespace emulatorNs1 has two entities called eh1"},
		"same spaces":    {in(`"NamespaceConfig": [`, `"NamespaceConfig": [{"Name": "EmulatorNs1"},`), "there are two namespaces called emulatorNs1"},
		"capture":        {in(`"2",`, `"2", "Capture": {"Intervall": 5, "Container": "x"},`), "Capture has no field Container"},
		"capture range":  {in(`"2",`, `"2", "Capture": {"IntervalInSeconds": 5000},`), "c:10: IntervalInSeconds must be a whole number between 1 and 900"},
		"encoding":       {in(`"2",`, `"2", "Capture": {"Encoding": "Parquet"},`), "c:10: Capture: encoding must be Avro or AvroDeflate"},
		"deep":           {strings.Repeat("[", 100), "nested deeper"},
	} {
		_, err := ParseConfig("c", []byte(c.text))
		var ce *ConfigError
		if !errors.As(err, &ce) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All of them are told, in the order of the file.
	_, err := ParseConfig("c", []byte(strings.NewReplacer(`"2"`, `0`, `"EventHub"`, `5`, `"cg1"`, `true`).Replace(official)))
	var ce *ConfigError
	if !errors.As(err, &ce) || len(ce.Problems) != 3 || ce.Problems[0].Line != 5 || ce.Problems[2].Line != 13 {
		t.Errorf("%v", err)
	}
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, file := range map[string]string{"none": filepath.Join(dir, "none"), "a folder": dir} {
		_, err := ReadConfig(file)
		var hinted *connector.Hinted
		if !errors.As(err, &hinted) || strings.Count(err.Error(), file) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(dir, "Config.json")
	if err := os.WriteFile(file, []byte(official), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadConfig(file); err != nil || len(c.Namespaces) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(official))
	f.Add([]byte(`{"UserConfig":{"NamespaceConfig":[{"Name":"a","Entities":[{"Name":"x","Capture":{"Enabled":"true","Destination":{"Properties":{}}}}]}]}}`))
	f.Add([]byte("{\"a\":[1,2,{\"b\":null}]} x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("c", data)
		if err == nil {
			for _, ns := range c.Namespaces {
				for _, h := range ns.Hubs {
					if h.Partitions < 0 || h.Partitions > hub.MaxPartitions {
						t.Errorf("%d partitions", h.Partitions)
					}
				}
			}
			return
		}
		var ce *ConfigError
		if !errors.As(err, &ce) || len(ce.Problems) == 0 {
			t.Fatalf("%v", err)
		}
		lines := 1 + strings.Count(string(data), "\n")
		for _, p := range ce.Problems {
			if p.Line < 1 || p.Line > lines || p.Text == "" {
				t.Errorf("%+v of %d lines", p, lines)
			}
		}
	})
}

func TestHideKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=abc=;UseDevelopmentEmulator=true": "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=***;UseDevelopmentEmulator=true",
		"sharedaccesskey=x":                         "sharedaccesskey=***",
		"Endpoint=sb://h;SharedAccessKey=" + AnyKey: "Endpoint=sb://h;SharedAccessKey=" + AnyKey,
		"": "",
	} {
		if got := HideKey(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
